//! What stops a start: said clearly, at once, with the right exit code.

use crate::harness::{Ended, Server, segue, until};

#[test]
fn a_second_server_on_one_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Server::start(folder.path());
    let mut second = segue();
    second.args(["serve", "--port", "0", "--data-dir"]).arg(folder.path().join("data"));
    let second = second.env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0").output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("data/log"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("in-the-way");
    std::fs::write(&taken, "no folder").unwrap();
    let mut server = segue();
    server.args(["serve", "--port", "0", "--data-dir"]).arg(&taken);
    let server = server.env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0").output().unwrap();
    let said = String::from_utf8_lossy(&server.stderr);
    assert_eq!(server.status.code(), Some(1), "{said}");
    assert!(said.contains(taken.to_str().unwrap()), "{said}");
}

#[test]
fn wrong_use_is_exit_code_2_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("segue.toml");
    std::fs::write(&file, "[server]\nbnd = \"127.0.0.1:0\"\n").unwrap();
    let checked = segue().args(["config", "check", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("segue.toml: unknown key `server.bnd`; did you mean `server.bind`?"), "{said}");
    assert_eq!(segue().arg("fly").output().unwrap().status.code(), Some(2));

    let shown = segue().args(["config", "show"]).env("SEGUE__NEIGHBOURS__KEEP", "7").output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("neighbours.keep = 7  # variable SEGUE__NEIGHBOURS__KEEP"), "{shown}");
}

#[test]
fn secrets_are_not_shown() {
    let secret = ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"];
    for arguments in [&["config", "show"][..], &["config", "show", "--json"]] {
        let mut show = segue();
        show.args(arguments).env("SEGUE__KAFKA__PROPERTIES__SASL__USERNAME", "somebody");
        for property in secret {
            let name = property.to_uppercase().replace('.', "__");
            show.env(format!("SEGUE__KAFKA__PROPERTIES__{name}"), "hunter2");
        }
        let shown = String::from_utf8(show.output().unwrap().stdout).unwrap();
        assert!(!shown.contains("hunter2") && shown.contains("somebody"), "{shown}");
        for property in secret {
            let line = shown.lines().find(|line| line.contains(property)).expect("it is there");
            assert!(line.contains("\"***\""), "{line}");
        }
    }
}

#[test]
fn a_demo_that_is_still_loading_stops_at_the_first_signal_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, temporary) = (folder.path().join("ready.json"), folder.path().join("tmp"));
    std::fs::create_dir(&temporary).unwrap();
    let mut demo = segue();
    demo.args(["demo", "--port", "0", "--playlists", "1000000", "--ready-file"]).arg(&ready);
    let mut demo = Ended(demo.env("TMPDIR", &temporary).spawn().unwrap());
    until("the ready file", || ready.exists().then_some(()));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 1);
    assert!(std::process::Command::new("kill").arg(demo.0.id().to_string()).status().unwrap().success());
    let ended = until("its end", || demo.0.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}
