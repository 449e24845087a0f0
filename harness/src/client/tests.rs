//! The client against a machine that says what it was told to say.

use super::*;
use crate::backend::{Counting, Waker};
use crate::journal::{Known, Limits, Told};
use crate::output::Progress;
use crate::transcript::Call;
use mayfly_wire::message::Event;
use mayfly_wire::trace::Record;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// A machine that says what it was told to say.
struct Fake {
    script: VecDeque<(Vec<u8>, Stop)>,
    /// What it says when its script is over.
    after: Stop,
    control: Vec<u8>,
}

impl Backend for Fake {
    fn run(&mut self, _: Instant) -> Result<Stop> {
        let (bytes, stop) = self
            .script
            .pop_front()
            .unwrap_or_else(|| (Vec::new(), self.after.clone()));
        self.control.extend(bytes);
        Ok(stop)
    }
    fn send(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn take(&mut self, stream: Stream) -> Vec<u8> {
        match stream {
            Stream::Control => std::mem::take(&mut self.control),
            _ => Vec::new(),
        }
    }
    fn type_on(&mut self, _: Stream, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        Waker::new(|| ())
    }
    fn meter(&mut self, _: Option<Counting>) -> Result<bool> {
        Ok(false)
    }
    fn take_visits(&mut self) -> Vec<Visit> {
        Vec::new()
    }
}

fn client(script: Vec<(Vec<u8>, Stop)>) -> Client {
    Client::new(Box::new(Fake {
        script: script.into(),
        after: Stop::Deadline(None),
        control: Vec::new(),
    }))
}

fn pong(id: u32) -> Vec<u8> {
    let mut buffer = [0; 64];
    let length = frame::encode(&Event::Pong { id }, &mut buffer).unwrap();
    buffer[..length].into()
}

const TIMEOUT: Duration = Duration::from_secs(1);

#[test]
fn an_answer_is_found_in_pieces_and_behind_others() {
    let mut bytes = pong(9);
    bytes.extend(pong(1));
    let (first, second) = bytes.split_at(7);
    let mut client = client(vec![
        (first.into(), Stop::Output),
        (second.into(), Stop::Output),
    ]);
    let answer = client.ask("ping", TIMEOUT, |id| Request::Ping { id });
    assert_eq!(answer.unwrap(), Answer::Pong);
    assert!(client.journal.answers.contains_key(&9));
}

#[test]
fn a_deadline_is_a_timeout_and_the_machine_lives_on() {
    let mut client = client(vec![
        (Vec::new(), Stop::Deadline(None)),
        (pong(2), Stop::Output),
    ]);
    let error = client.ask("ping", TIMEOUT, |id| Request::Ping { id });
    assert_eq!(error.unwrap_err().kind(), "timeout");
    let answer = client.ask("ping", TIMEOUT, |id| Request::Ping { id });
    assert_eq!(answer.unwrap(), Answer::Pong);
}

#[test]
fn a_machine_that_always_has_something_to_say_is_out_of_time_too() {
    let mut client = Client::new(Box::new(Fake {
        script: VecDeque::new(),
        after: Stop::Output,
        control: Vec::new(),
    }));
    let moment = Duration::from_millis(1);
    let error = client.ask("ping", moment, |id| Request::Ping { id });
    assert_eq!(error.unwrap_err().kind(), "timeout");
}

#[test]
fn words_said_with_the_last_breath_count() {
    let mut client = client(vec![(pong(1), Stop::Ended(End::Exit(exit::EXIT_DONE)))]);
    let answer = client.ask("ping", TIMEOUT, |id| Request::Ping { id });
    assert_eq!(answer.unwrap(), Answer::Pong);
    let error = client.ask("ping", TIMEOUT, |id| Request::Ping { id });
    assert_eq!(error.unwrap_err().kind(), "ended");
}

#[test]
fn an_end_without_words_is_never_success() {
    for code in [exit::EXIT_DONE, exit::EXIT_FAULT, exit::EXIT_BOOT, 3] {
        let mut client = client(vec![(Vec::new(), Stop::Ended(End::Exit(code)))]);
        let error = client.ask("ping", TIMEOUT, |id| Request::Ping { id });
        assert!(error.unwrap_err().death().is_some(), "code {code}");
    }
}

#[test]
fn a_frame_that_is_none_is_an_error() {
    for bytes in [vec![0xff; 8], vec![1, 0, 0, 0, 0xee]] {
        let mut client = client(vec![(bytes, Stop::Output)]);
        let error = client.ask("ping", TIMEOUT, |id| Request::Ping { id });
        assert_eq!(error.unwrap_err().kind(), "broken");
    }
}

#[test]
fn what_came_before_a_broken_frame_counts_once_and_the_machine_is_over() {
    let mut bytes = pong(1);
    bytes.extend([0xff; 8]);
    let mut client = client(vec![(bytes, Stop::Output)]);
    let first = client.ask("ping", TIMEOUT, |id| Request::Ping { id });
    let text = first.unwrap_err().to_string();
    assert!(text.contains("a frame of 4294967295 bytes came"), "{text}");
    assert!(client.journal.answers.remove(&1).is_some());
    let second = client.ask("ping", TIMEOUT, |id| Request::Ping { id });
    assert_eq!(second.unwrap_err().kind(), "ended");
    assert!(client.journal.answers.is_empty());
}

/// A client of a machine that says all that once, of which little is kept.
fn forgetful(said: Vec<Event<'_>>) -> Client {
    let mut bytes = Vec::new();
    for event in said {
        let mut buffer = [0; 64];
        let length = frame::encode(&event, &mut buffer).unwrap();
        bytes.extend(&buffer[..length]);
    }
    let mut client = client(vec![(bytes, Stop::Output)]);
    client.journal.limits = Limits {
        bytes: 2 * size_of::<Known>() + 16,
        answers: 2,
    };
    client
}

#[test]
fn a_machine_that_tells_more_than_is_kept_is_ended_with_the_reason() {
    let written = |pid, bytes| Event::Output {
        pid,
        stream: 2,
        bytes,
    };
    let pongs = |ids: std::ops::Range<u32>| ids.map(|id| Event::Pong { id }).collect();
    let floods: [(Vec<Event<'_>>, _); 3] = [
        (
            vec![written(1, b"12345678"), written(2, b"123456789")],
            "bytes of output, calls and processes",
        ),
        (
            (1..4).map(|pid| written(pid, b"")).collect(),
            "bytes of output, calls and processes",
        ),
        (pongs(7..10), "more than 2 answers"),
    ];
    for (said, why) in floods {
        let mut client = forgetful(said);
        let error = client.wait("wait", TIMEOUT, |_| None::<()>).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        let error = client.wait("wait", TIMEOUT, |_| None::<()>).unwrap_err();
        assert!(error.to_string().contains("more than is kept"), "{error}");
    }
}

#[test]
fn as_much_as_is_kept_is_no_error() {
    let said = [1, 2].map(|pid| Event::Output {
        pid,
        stream: 1,
        bytes: b"12345678",
    });
    let mut client = forgetful(said.into());
    let both = client.wait("wait", TIMEOUT, |journal| {
        (journal.process(2).stdout == b"12345678").then_some(())
    });
    both.unwrap();
}

#[test]
fn recorded_calls_count_and_what_was_handed_on_does_not() {
    let mut journal = Journal::default();
    journal.process(1);
    journal.limits.bytes = journal.bytes;
    for _ in 0..100 {
        journal.apply(Event::Output {
            pid: 1,
            stream: 1,
            bytes: b"12345678",
        });
        assert!(journal.excess().is_some());
        let mut told = Told::default();
        let all = |_: Progress<'_>| ControlFlow::<()>::Continue(());
        assert!(journal.hand_on(1, &mut told, 0, all).is_continue());
        assert!(journal.excess().is_none());
    }
    let record = Record {
        pid: 1,
        ..Record::default()
    };
    journal.record(Call::new(record, Vec::new()));
    assert!(journal.excess().is_some());
}

#[test]
fn of_requests_that_cannot_be_read_the_last_are_kept() {
    let mut journal = Journal::default();
    for round in 0..1000 {
        let message = &round.to_string();
        journal.apply(Event::BadRequest { message });
    }
    assert_eq!(journal.bad_requests.len(), 64);
    assert_eq!(journal.bad_requests.back().unwrap(), "999");
}
