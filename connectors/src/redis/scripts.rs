//! What the server does in one go: each script looks at the epoch of what is there before it changes it.

use redis::{Cmd, RedisResult, Script};

/// Of a key: the epoch that its value begins with, and whether it is what a row that is gone left. A value of another
/// kind has none.
const LOOK: &str = r#"
local key = KEYS[1]
local head = redis.pcall('GETRANGE', key, 0, 63)
local epoch, gone
if type(head) == 'string' then
    local digits, rest = string.match(head, '^{"epoch":(%d+),?(.*)')
    epoch = tonumber(digits)
    gone = rest and string.sub(rest, 1, 12) == '"sampled":0,'
end
"#;

/// Sets a value unless there is a newer one: ARGV epoch, value, milliseconds until it is gone. 1 if it did.
const PUT: &str = r"
if epoch and epoch > tonumber(ARGV[1]) then return 0 end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
return 1
";

/// Keeps a value for longer if it has this epoch: ARGV epoch, milliseconds. 1 if it did.
const TOUCH: &str = r"
if epoch ~= tonumber(ARGV[1]) or gone then return 0 end
return redis.call('PEXPIRE', key, ARGV[2])
";

/// Deletes a value unless it is newer, or goes by itself soon: ARGV epoch. 1 if it is not there any more.
const DELETE: &str = r"
if gone or epoch and epoch > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', key)
return 1
";

/// Sets the value of the key that is there as long as nothing was lost: as PUT, and the epoch that it has at least if
/// so, and what to set if not. 1 if nothing was.
const BEAT: &str = r"
if not epoch or epoch < tonumber(ARGV[4]) then
    redis.call('SET', key, ARGV[5], 'PX', ARGV[3])
    return 0
end
if epoch > tonumber(ARGV[1]) then
    return redis.call('PEXPIRE', key, ARGV[3])
end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
return 1
";

/// How long a value is; 0 if it is of another kind, or not there.
const LENGTH: &str = r"
local length = redis.pcall('STRLEN', key)
return type(length) == 'number' and length or 0
";

/// All of them.
pub struct Scripts {
    put: Script,
    touch: Script,
    delete: Script,
    beat: Script,
    length: Script,
}

impl Scripts {
    pub fn new() -> Self {
        let script = |what: &str| Script::new(&format!("{LOOK}{what}"));
        Scripts {
            put: script(PUT),
            touch: script(TOUCH),
            delete: script(DELETE),
            beat: script(BEAT),
            length: script(LENGTH),
        }
    }

    /// Has a server know them.
    pub fn load(&self, connection: &mut redis::Connection) -> RedisResult<()> {
        let all = [&self.put, &self.touch, &self.delete, &self.beat, &self.length];
        all.into_iter().try_for_each(|script| script.load(connection).map(drop))
    }

    /// Still without value and milliseconds.
    pub fn put(&self, key: &str, epoch: u64) -> Cmd {
        call(&self.put, key, epoch)
    }

    /// Whole.
    pub fn length(&self, key: &str) -> Cmd {
        call(&self.length, key, 0)
    }

    /// Still without milliseconds.
    pub fn touch(&self, key: &str, epoch: u64) -> Cmd {
        call(&self.touch, key, epoch)
    }

    pub fn delete(&self, key: &str, epoch: u64) -> Cmd {
        call(&self.delete, key, epoch)
    }

    /// Still without value, milliseconds, the least epoch and the other value.
    pub fn beat(&self, key: &str, epoch: u64) -> Cmd {
        call(&self.beat, key, epoch)
    }
}

fn call(script: &Script, key: &str, epoch: u64) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(script.get_hash()).arg(1).arg(key).arg(epoch);
    command
}
