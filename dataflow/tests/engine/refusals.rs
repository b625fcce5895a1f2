//! Two strings under one id are never merged in silence.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use segue_dataflow::day::Day;
use segue_dataflow::edit::{Edit, Op, PlaylistOp};
use segue_dataflow::engine::Dataflow;
use segue_dataflow::ids::PlaylistId;
use segue_dataflow::query::{Board, Body, Query, Question};
use segue_dataflow::settings::Settings;

/// An edit of a playlist whose URI hashes to the id of "p:1", or so it says.
fn titled(seq: u64, uri: &str, title: &str) -> Edit {
    let op = PlaylistOp::Titled(title.into());
    Edit { seq, day: Day::default(), op: Op::Playlist { id: PlaylistId::of("p:1"), uri: uri.into(), op } }
}

#[test]
fn a_second_playlist_under_a_taken_id_is_refused() {
    timely::execute(timely::Config::thread(), |worker| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&seen);
        let refused: segue_dataflow::engine::Refused =
            Rc::new(move |seq, why| told.borrow_mut().push((seq, why)));
        let board = Arc::new(Board::new(1, Settings::default()));
        let mut dataflow = Dataflow::new(worker, 1, Settings::default(), &refused, &board, true);
        dataflow.advance(1);
        dataflow.feed(titled(7, "p:1", "first"));
        dataflow.feed(titled(8, "p:other", "second"));
        dataflow.ask(Query { id: 1, question: Question::Playlist(PlaylistId::of("p:1")) });
        dataflow.advance(2);
        worker.step_while(|| !dataflow.is_complete(1));
        let (_, answer) = dataflow.take_answer().expect("answered");
        let Body::Playlist(Some(found)) = answer.body else { panic!("{answer:?}") };
        assert_eq!((&*found.playlist.uri, found.playlist.title.as_deref()), ("p:1", Some("first")));
        let expected = (8, r#"playlist "p:other" has the id of "p:1""#.to_owned());
        assert_eq!(*seen.borrow(), [expected]);
    })
    .expect("timely starts");
}
