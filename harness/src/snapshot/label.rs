//! The label of a snapshot on disk: whose it is, and what its machine has told.
//!
//! The key, and the messages of the kernel as they came. Neighbour: `cache`.

use std::io;

use mayfly_wire::message::{self, Event};
use mayfly_wire::{BODY_MAX, frame};

use super::key::Key;
use super::{OpenProbe, Origin, Shell};
use crate::journal::{Answer, Journal, Ready};

/// Between the key and the kernel's messages in a file's label.
const SEPARATOR: &[u8] = b"\0";
/// Requests that messages in a label answer: to start a process, to let it stand.
const STARTED: u32 = 1;
const AWAITING: u32 = 2;

/// The key, then what the machine has told.
pub(super) fn write(key: &Key, origin: &Origin) -> io::Result<Vec<u8>> {
    let mut label = [key.text().as_bytes(), SEPARATOR].concat();
    let ready = &origin.ready;
    let ready = Event::Ready(message::Ready {
        version: ready.version,
        kernel: &ready.kernel,
        direct: ready.direct,
        entered_tsc: ready.entered_tsc,
        ready_tsc: ready.ready_tsc,
        tsc_khz: ready.tsc_khz,
        protections: ready.protections,
        frames_free: ready.frames_free,
    });
    let mut events = vec![ready];
    events.extend(origin.started(STARTED));
    events.extend(origin.probe.map(|probe| Event::Awaiting {
        id: AWAITING,
        mailbox: probe.mailbox,
    }));
    events.extend(origin.shell.as_ref().map(|shell| Event::Output {
        pid: shell.pid,
        stream: 1,
        bytes: &shell.screen,
    }));
    for event in events {
        let mut bytes = vec![0; frame::HEADER + BODY_MAX];
        let used = frame::encode(&event, &mut bytes)
            .map_err(|_| io::Error::other("a message of the kernel is too long"))?;
        label.extend_from_slice(&bytes[..used]);
    }
    Ok(label)
}

/// What a machine has told.
pub(super) struct Told {
    pub(super) ready: Ready,
    pub(super) probe: Option<OpenProbe>,
    pub(super) shell: Option<Shell>,
}

/// What a label tells of a machine.
pub(super) fn read(label: &[u8], key: &Key) -> std::result::Result<Told, String> {
    let broken = || "its label is none of ours".to_owned();
    let end = label
        .iter()
        .position(|byte| *byte == 0)
        .ok_or_else(broken)?;
    let text = std::str::from_utf8(&label[..end]).map_err(|_| broken())?;
    if let Some(difference) = key.difference(text) {
        return Err(format!("it is of another machine ({difference})"));
    }
    let mut rest = &label[end + SEPARATOR.len()..];
    let mut journal = Journal::default();
    while let Ok(Some((body, following))) = frame::split(rest) {
        journal.apply(frame::decode(body).map_err(|_| broken())?);
        rest = following;
    }
    if !rest.is_empty() {
        return Err(broken());
    }
    let mut answer = |id| journal.answers.remove(&id);
    let (mut probe, mut shell) = (None, None);
    match (answer(STARTED), answer(AWAITING)) {
        (None, None) => {}
        (Some(Answer::Started { pid, root, abi }), Some(Answer::Awaiting(mailbox))) => {
            probe = Some(OpenProbe {
                pid,
                root,
                abi,
                mailbox,
            });
        }
        (Some(Answer::Started { pid, root, abi }), None) => {
            shell = Some(Shell {
                pid,
                root,
                abi,
                screen: std::mem::take(&mut journal.process(pid).stdout),
            });
        }
        _ => return Err(broken()),
    }
    Ok(Told {
        ready: journal.ready.ok_or_else(broken)?,
        probe,
        shell,
    })
}
