//! Reader threads: they answer questions from the board, and no worker waits for them.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use super::{AskError, QUESTIONS_MAX, Reply};
use crate::query::{Board, Question};

/// Threads that answer questions from the board.
pub struct Readers {
    /// Taken to end the threads.
    questions: Mutex<Option<Sender<(Question, Reply)>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Starts so many.
    pub fn start(number: usize, board: &Arc<Board>) -> std::io::Result<Self> {
        let (questions, asked) = bounded::<(Question, Reply)>(QUESTIONS_MAX);
        let threads = (0..number.max(1)).map(|n| {
            let (board, asked) = (Arc::clone(board), asked.clone());
            std::thread::Builder::new().name(format!("reader-{n}")).spawn(move || {
                for (question, reply) in asked {
                    if let Some(answer) = board.answer(question) {
                        reply(answer);
                    }
                }
            })
        });
        let threads = Mutex::new(threads.collect::<Result<_, _>>()?);
        Ok(Readers { questions: Mutex::new(Some(questions)), threads })
    }

    /// See [`super::Engine::ask`].
    pub fn ask(&self, question: Question, reply: Reply) -> Result<(), AskError> {
        let questions = self.questions.lock().clone().ok_or(AskError::Stopped)?;
        questions.try_send((question, reply)).map_err(|error| match error {
            crossbeam_channel::TrySendError::Full(_) => AskError::Busy,
            crossbeam_channel::TrySendError::Disconnected(_) => AskError::Stopped,
        })
    }

    /// Ends them; questions not yet answered are dropped.
    pub fn stop(&self) {
        drop(self.questions.lock().take());
        self.threads.lock().drain(..).for_each(|reader| drop(reader.join()));
    }
}
