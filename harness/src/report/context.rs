//! What came before a failure: the last calls, and what processes have said.
//!
//! Neighbours: the parent tells the failure itself; `text` keeps it short.

use super::text::{section, tail};
use crate::cause::Cause;
use crate::journal::{Journal, Known};
use crate::symbols::Frame;

/// Calls shown.
const CALLS_MAX: usize = 4;
/// Processes of which a report has the last words.
const PROCESSES_MAX: usize = 8;

/// What happened before a failure: last calls and the output of processes.
pub(crate) fn context(journal: &Journal) -> String {
    let mut text = String::new();
    let skipped = journal.recent.len().saturating_sub(CALLS_MAX);
    section(&mut text, "before", journal.recent.iter().skip(skipped));
    let told = journal
        .processes
        .iter()
        .filter(|(_, it)| has_something_to_say(it));
    let told: Vec<_> = told.collect();
    let earlier = told.len().saturating_sub(PROCESSES_MAX);
    if earlier > 0 {
        let line = format!("{earlier} earlier processes have something to say, too");
        section(&mut text, "out", [line]);
    }
    for (pid, process) in &told[earlier..] {
        section(&mut text, &format!("out {pid}"), tail(&process.stdout));
        section(&mut text, &format!("err {pid}"), tail(&process.stderr));
        section(&mut text, &format!("end {pid}"), end(journal, process));
    }
    section(&mut text, "refused", &journal.bad_requests);
    text
}

fn has_something_to_say(process: &Known) -> bool {
    !process.stdout.is_empty() || !process.stderr.is_empty() || unforeseen(process).is_some()
}

/// What ended a process that did not end by itself.
fn unforeseen(process: &Known) -> Option<Cause> {
    let cause = process.exited.map(|exited| Cause::from(exited.cause))?;
    (cause != Cause::Exited).then_some(cause)
}

/// How a process ended that did not end by itself, with the place in its source.
fn end(journal: &Journal, process: &Known) -> Vec<String> {
    let Some(cause) = unforeseen(process) else {
        return Vec::new();
    };
    let mut lines = vec![format!("{}: {cause}", process.program)];
    if let Cause::Fault { rip, .. } = cause {
        let frame = journal.frame(&process.program, rip);
        lines.extend(frame.iter().flat_map(Frame::shown));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_the_last_processes_are_shown() {
        let mut journal = Journal::default();
        for pid in 1..=11 {
            journal.process(pid).stdout = format!("word {pid}\n").into();
        }
        // It has nothing to say.
        journal.process(12);
        let text = context(&journal);
        assert!(text.contains("3 earlier processes"), "{text}");
        assert!(
            !text.contains("word 3\n") && text.contains("word 4\n"),
            "{text}"
        );
        assert!(text.contains("word 11\n"), "{text}");
        assert!(!text.contains("out 12"), "{text}");
    }
}
