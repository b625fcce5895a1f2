//! One connection: commands go out together, and their answers are read until the first one that does not come.

use std::time::Duration;

use redis::{Client, Cmd, ErrorKind, IntoConnectionInfo, RedisError, ServerErrorKind, Value};

use super::layout::{self, Layout};
use super::scripts::Scripts;
use super::{Error, Settings};

/// How long what a row that is gone left stays, at the most: longer than any write is on its way.
const GONE: Duration = Duration::from_secs(60);
/// Keys that the server looks at in one go.
const SCANNED: u64 = 1000;

/// A value for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: String,
    /// JSON that begins with the epoch.
    pub value: String,
    /// As-of which it is true.
    pub epoch: u64,
    /// Whether it only says that a row is gone, and goes itself soon.
    pub gone: bool,
}

/// A connection.
pub struct Connection {
    connection: redis::Connection,
    scripts: Scripts,
    layout: Layout,
    expire: Duration,
    sent: u64,
    bytes: u64,
}

impl Connection {
    /// Opens one, and has the server know the scripts.
    ///
    /// # Errors
    /// If there is no such server, it does not answer in time, or does not let us in.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let address = settings.url.as_str().into_connection_info();
        let address = address.map_err(|error| Error::Address(error.to_string()))?;
        // Else it would wait for answers that nobody needs.
        let own = address.redis_settings().clone().set_skip_set_lib_name();
        let client = Client::open(address.set_redis_settings(own));
        let connection = client.and_then(|client| {
            let connection = client.get_connection_with_timeout(settings.timeout)?;
            connection.set_read_timeout(Some(settings.timeout))?;
            connection.set_write_timeout(Some(settings.timeout))?;
            Ok(connection)
        });
        let mut connection = connection.map_err(|error| failed("connecting", &error))?;
        let scripts = Scripts::new();
        scripts.load(&mut connection).map_err(|error| failed("loading scripts", &error))?;
        let (layout, expire) = (Layout::new(&settings.prefix), settings.expire);
        Ok(Connection { connection, scripts, layout, expire, sent: 0, bytes: 0 })
    }

    /// Names of keys.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many commands were sent so far, and how many bytes.
    pub fn sent(&self) -> (u64, u64) {
        (self.sent, self.bytes)
    }

    /// How long what only says that a row is gone stays.
    pub fn gone_for(&self) -> Duration {
        self.expire.min(GONE)
    }

    /// Sets values, each unless there is a newer one: whether it did. A value of the same epoch is replaced.
    ///
    /// # Errors
    /// Any of them may have been set or not, and may be yet.
    pub fn put(&mut self, writes: &[Write]) -> Result<Vec<bool>, Error> {
        let (kept, gone) = (self.expire, self.gone_for());
        let commands = writes.iter().map(|write| {
            let expire = if write.gone { gone } else { kept };
            let mut command = self.scripts.put(&write.key, write.epoch);
            command.arg(&write.value).arg(expire.as_millis() as u64);
            command
        });
        let commands: Vec<Cmd> = commands.collect();
        self.yes("setting values", &commands)
    }

    /// Keeps values for longer, each if it has this epoch: whether it has.
    ///
    /// # Errors
    /// Any of them may be kept or not.
    pub fn touch<'a>(&mut self, keys: impl Iterator<Item = (&'a str, u64)>) -> Result<Vec<bool>, Error> {
        let commands = keys.map(|(key, epoch)| {
            let mut command = self.scripts.touch(key, epoch);
            command.arg(self.expire.as_millis() as u64);
            command
        });
        let commands: Vec<Cmd> = commands.collect();
        self.yes("keeping values", &commands)
    }

    /// Deletes values, each unless it is newer than the epoch or goes by itself soon: whether it is not there.
    ///
    /// # Errors
    /// Any of them may have been deleted or not, and may be yet.
    pub fn delete<'a>(
        &mut self,
        keys: impl Iterator<Item = &'a str>,
        epoch: u64,
    ) -> Result<Vec<bool>, Error> {
        let commands: Vec<Cmd> = keys.map(|key| self.scripts.delete(key, epoch)).collect();
        self.yes("deleting values", &commands)
    }

    /// Says that all keys are true as-of `epoch`; false if the key for that was not there, or said less than
    /// `least`: then others may have been lost with it, and it says 0 from now on.
    ///
    /// # Errors
    /// It may have been set or not.
    pub fn beat(&mut self, epoch: u64, least: u64) -> Result<bool, Error> {
        let mut command = self.scripts.beat(&self.layout.state(), epoch);
        command.arg(layout::state(epoch)).arg(self.expire.as_millis() as u64);
        command.arg(least).arg(layout::state(0));
        Ok(self.yes("setting the state", &[command])? == [true])
    }

    /// Keys of rows, some of them twice perhaps, and where to go on: at 0 that was all of them.
    ///
    /// # Errors
    /// If the server does not answer, or with something else.
    pub fn scan(&mut self, from: u64) -> Result<(u64, Vec<String>), Error> {
        let doing = "looking for keys";
        let mut command = redis::cmd("SCAN");
        command.arg(from).arg("MATCH").arg(self.layout.rows()).arg("COUNT").arg(SCANNED);
        let page = self.ask(doing, &[command])?.pop().unwrap_or_default();
        let page: Result<(u64, Vec<Vec<u8>>), _> = redis::from_redis_value(page);
        let (next, keys) = page.map_err(|error| failed(doing, &error.into()))?;
        // What is no text is not ours.
        Ok((next, keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect()))
    }

    /// Bytes of the values of these keys; 0 for one that has none, or not of that kind.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn lengths<'a>(&mut self, keys: impl Iterator<Item = &'a str>) -> Result<Vec<usize>, Error> {
        let commands: Vec<Cmd> = keys.map(|key| self.scripts.length(key)).collect();
        let said = self.ask("looking for values", &commands)?;
        let bytes =
            |value| if let Value::Int(bytes) = value { usize::try_from(bytes).unwrap_or(0) } else { 0 };
        Ok(said.into_iter().map(bytes).collect())
    }

    /// Whether each command says 1.
    fn yes(&mut self, doing: &'static str, commands: &[Cmd]) -> Result<Vec<bool>, Error> {
        let said = self.ask(doing, commands)?;
        Ok(said.into_iter().map(|value| value == Value::Int(1)).collect())
    }

    /// What each command says. A server that was told to forget the scripts is told them again.
    fn ask(&mut self, doing: &'static str, commands: &[Cmd]) -> Result<Vec<Value>, Error> {
        let forgot = |said: &Value| matches!(said, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript));
        let mut said = self.send(doing, commands)?;
        if said.iter().any(forgot) {
            self.scripts.load(&mut self.connection).map_err(|error| failed(doing, &error))?;
            said = self.send(doing, commands)?;
        }
        let refused = said.iter().find_map(|value| match value {
            Value::ServerError(error) => Some(RedisError::from(error.clone())),
            _ => None,
        });
        refused.map_or(Ok(said), |error| Err(failed(doing, &error)))
    }

    fn send(&mut self, doing: &'static str, commands: &[Cmd]) -> Result<Vec<Value>, Error> {
        let mut packed = Vec::new();
        commands.iter().for_each(|command| command.write_packed_command(&mut packed));
        if packed.is_empty() {
            return Ok(Vec::new());
        }
        self.sent += commands.len() as u64;
        self.bytes += packed.len() as u64;
        // Not as a pipeline of the crate: that one waits for every answer, even after one that did not come.
        let sent = self.connection.send_packed_command(&packed);
        let said = sent.and_then(|()| commands.iter().map(|_| self.connection.recv_response()).collect());
        said.map_err(|error| failed(doing, &error))
    }
}

fn failed(doing: &'static str, error: &RedisError) -> Error {
    let why = match (error.code(), error.detail()) {
        _ if error.is_timeout() => "it takes too long".to_owned(),
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed => {
            Error::Refused { doing, why }
        }
        _ => Error::Away { doing, why },
    }
}
