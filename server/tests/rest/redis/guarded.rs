//! A Redis with TLS and a user of few rights.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{Place, degraded};
use crate::harness::{Ended, Server, segue, until};

/// A Redis of its own, with TLS and a user.
struct Guarded {
    _ended: Ended,
    folder: tempfile::TempDir,
    port: u16,
}

impl Guarded {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let made =
                Command::new("openssl").args(arguments).current_dir(folder.path()).output().expect("openssl");
            assert!(made.status.success(), "{made:?}");
        };
        run(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days",
            "2", "-subj", "/CN=ca",
        ]);
        run(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "own.csr",
            "-subj",
            "/CN=localhost",
        ]);
        std::fs::write(
            folder.path().join("names"),
            "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
        )
        .unwrap();
        run(&[
            "x509",
            "-req",
            "-in",
            "own.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "own.pem",
        ]);
        let (child, port) = until("a free port", || {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = Guarded::launch(folder.path(), port);
            until("it listens, or cannot", || {
                let listens = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
                (listens || child.0.try_wait().unwrap().is_some()).then_some(())
            });
            child.0.try_wait().unwrap().is_none().then_some((child, port))
        });
        Guarded { _ended: child, folder, port }
    }

    fn launch(folder: &std::path::Path, port: u16) -> Ended {
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &port.to_string(), "--save", ""]);
        server.args([
            "--tls-cert-file",
            "own.pem",
            "--tls-key-file",
            "key.pem",
            "--tls-ca-cert-file",
            "ca.pem",
        ]);
        server.args(["--tls-auth-clients", "no", "--user", "default", "off"]);
        // As docs/redis.md has it.
        let user = "segue on >hunter2 ~segue:* +evalsha +script|load +scan +strlen +get +set +getrange +pexpire +del";
        server.arg("--user").args(user.split(' '));
        let child: Child = server.current_dir(folder).stdout(Stdio::null()).spawn().expect("redis-server");
        Ended(child)
    }

    fn ask(&self, command: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args([
            "--tls",
            "--cacert",
            "ca.pem",
            "-h",
            "localhost",
            "-p",
            &self.port.to_string(),
            "--no-auth-warning",
        ]);
        let cli = cli
            .args(["--user", "segue", "--pass", "hunter2"])
            .args(command)
            .current_dir(self.folder.path())
            .output();
        String::from_utf8(cli.expect("redis-cli").stdout).unwrap()
    }
}

#[test]
fn tls_and_a_user_with_few_rights_will_do_and_no_password_is_ever_shown() {
    let (redis, folder) = (Guarded::start(), tempfile::tempdir().unwrap());
    let with = |password: &str| format!("rediss://segue:{password}@localhost:{}", redis.port);
    let ca = redis.folder.path().join("ca.pem");
    let start = |url: &str, ca: &str| {
        let said = folder.path().join("said");
        let mut command = segue();
        command
            .stderr(std::fs::File::create(&said).unwrap())
            .env("SSL_CERT_FILE", ca)
            .env_remove("SSL_CERT_DIR");
        let place = Place::of(url, &[]);
        let server = Server::launch(
            command,
            folder.path(),
            &[&place.variables()[..], &[("SEGUE_LOG", "debug")]].concat(),
        );
        until("ready", || (server.admin("/readyz").status == 200).then_some(()));
        (server, said)
    };
    let ca = ca.to_str().unwrap();
    let (server, _) = start(&with("hunter2"), ca);
    let put = |n: u32| json!({"v": 1, "type": "playlist_put", "playlist": format!("p:{n}"), "tracks": [{"uri": "t:1"}, {"uri": "t:2"}], "at": "2026-01-01T00:00:00Z"});
    server.events(&(0..3).map(put).collect());
    let row = until("the row", || {
        serde_json::from_str::<Value>(&redis.ask(&["GET", "segue:v1:neighbours:t:1"])).ok()
    });
    assert_eq!((&row["sampled"], &row["neighbours"]), (&json!(3), &json!([{"uri": "t:2", "shared": 3}])));
    assert_eq!(degraded(&server), None);
    assert_eq!(server.stop(), Some(0));

    let other = redis.folder.path().join("own.pem");
    for (url, trusted, why) in
        [(with("swordfish"), true, "authentication failed"), (with("hunter2"), false, "certificate")]
    {
        let (server, said) = start(&url, if trusted { ca } else { other.to_str().unwrap() });
        let told = until("readiness tells", || degraded(&server));
        assert!(told.to_lowercase().contains(&why.to_lowercase()), "{told}");
        server.events(&json!([put(9)]));
        assert_eq!(server.stop(), Some(0));
        let said = std::fs::read_to_string(said).unwrap();
        assert!(
            said.contains("rows are not pushed") && !said.contains("swordfish") && !said.contains("hunter2"),
            "{said}"
        );
    }
    let mut show = segue();
    let shown = show.args(["config", "show"]).env("SEGUE__REDIS__URL", with("hunter2")).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("redis.url") && shown.contains("segue:***@localhost") && !shown.contains("hunter2"),
        "{shown}"
    );
    let mut check = segue();
    let refused =
        check.args(["config", "check"]).env("SEGUE__REDIS__URL", "http://segue:hunter2@localhost").output();
    let refused = String::from_utf8(refused.unwrap().stderr).unwrap();
    assert!(refused.contains("redis.url") && !refused.contains("hunter2"), "{refused}");
}
