//! A microVM with the kernel in it.
//!
//! Purpose: the front door of the library: boot, spawn, probe, ask, drop. A
//! [`Vm`] is owned and `Send`; dropping it ends the machine at once. The guest
//! makes progress only while the host waits on it, because its processor runs
//! on the thread that waits. Neighbours: `guest` and `probe` above share its
//! client; `client` and a back end below.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mayfly_abi::Abi;
use mayfly_abi::table::Row;
use mayfly_wire::message::{Request, Resume, Stats};

use crate::backend::BackendKind;
use crate::client::{Held, Shared};
use crate::error::{Error, Result, unexpected};
use crate::guest::Command;
use crate::journal::{Answer, Ready};
use crate::metering::Spent;
use crate::options::VmOptions;
use crate::probe::Probe;
use crate::report;
use crate::snapshot;
use crate::tell;

/// A microVM, booted and ready.
pub struct Vm {
    client: Arc<Shared>,
    options: VmOptions,
    backend: BackendKind,
    ready: Ready,
    boot_time: Duration,
    boot: Option<Spent>,
    origin: From,
}

/// What a machine began as.
enum From {
    /// Nothing: it booted.
    Boot,
    /// A copy of one that had booted, or got further.
    Snapshot,
    /// A copy of one in which a program stood at its prompt.
    Prompt,
    /// A sibling of another one.
    Sibling,
}

/// What is left of a microVM when it is gone: what it told.
#[derive(Clone)]
pub(crate) struct Witness(Arc<Shared>);

impl Vm {
    /// A sibling that goes on from this instant, programs included, beside this
    /// machine, which goes on too. What the host was told so far, both know; of
    /// a process, [`Process::in_vm`](crate::Process::in_vm) and
    /// [`Probe::in_vm`] give the sibling's. KVM only.
    ///
    /// # Errors
    /// When the machine has ended, or the back end cannot copy machines.
    pub fn fork(&self) -> Result<Vm> {
        let started = Instant::now();
        let mut client = self.client();
        let stopped = client.stop(self.options.run_timeout);
        let sibling = stopped.and_then(|()| snapshot::sibling(&mut client));
        // Also when it did not stand still in time: it may yet, and is to go on.
        let resumed = client.send("resume", &Request::Resume(Resume::default()));
        let sibling = sibling?;
        resumed?;
        Ok(Vm {
            client: Arc::new(Shared::new(sibling)),
            options: self.options.clone(),
            backend: self.backend,
            ready: self.ready.clone(),
            boot_time: started.elapsed(),
            boot: None,
            origin: From::Sibling,
        })
    }

    /// Gives the machine random numbers of its own: siblings have the same.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn reseed(&self, seed: u64) -> Result<()> {
        self.client().send("reseed", &Request::Reseed { seed })
    }

    /// It began as a copy of a machine that had booted.
    pub fn is_from_snapshot(&self) -> bool {
        !matches!(self.origin, From::Boot)
    }

    /// It began as a copy of a machine in which a program stood at its prompt.
    pub fn is_from_prompt(&self) -> bool {
        matches!(self.origin, From::Prompt)
    }

    /// Makes the machine what it was when this `Vm` was made, in a fraction of
    /// the time that a new one takes: whatever happened to it is undone, also
    /// its end. Processes and probes of before are gone. For machines made with
    /// [`VmOptions::reset`].
    ///
    /// # Errors
    /// When it was made otherwise.
    pub fn reset(&self) -> Result<()> {
        let (why, remedy) = match (&self.origin, self.options.reset) {
            (From::Snapshot, true) => return self.client().begin_again(),
            (From::Snapshot | From::Boot, false) => {
                ("it was not made for that", "VmOptions::reset(true)")
            }
            (From::Boot, true) => (
                "only the KVM back end can",
                "MAYFLY_BACKEND=kvm, or a new machine instead",
            ),
            (From::Prompt, _) => (
                "it began at a program's prompt, to which it does not go back",
                "another machine at that prompt, or VmOptions::reset(true).boot()",
            ),
            (From::Sibling, _) => (
                "it is a sibling, made in the middle of another machine's life",
                "another sibling: vm.fork() of the same machine",
            ),
        };
        Err(Error::Usage {
            what: "reset the machine".into(),
            why: why.into(),
            remedy: remedy.into(),
        })
    }

    /// A program to start: a bundled one or one of [`VmOptions::files`].
    pub fn spawn(&self, program: &str) -> Command<'_> {
        Command::new(self, program)
    }

    /// A process that makes the system calls it is told, from ring 3.
    ///
    /// # Errors
    /// When the kernel refuses, or the machine has ended.
    pub fn probe(&self, abi: Abi) -> Result<Probe<'_>> {
        let timeout = self.options.run_timeout;
        let answer = self.client().open_probe(timeout, abi)?;
        match answer {
            Answer::Started { pid, root, .. } => Ok(Probe::new(self, abi, pid, root)),
            answer => Err(unexpected("open a probe", &answer)),
        }
    }

    /// Asks for a sign of life; the time that it took.
    ///
    /// # Errors
    /// When none comes.
    pub fn ping(&self) -> Result<Duration> {
        let started = Instant::now();
        match self.ask("ping", |id| Request::Ping { id })? {
            Answer::Pong => Ok(started.elapsed()),
            answer => Err(unexpected("ping", &answer)),
        }
    }

    /// Counts of kernel objects.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn stats(&self) -> Result<Stats> {
        match self.ask("count objects", |id| Request::Stats { id })? {
            Answer::Stats(stats) => Ok(stats),
            answer => Err(unexpected("count objects", &answer)),
        }
    }

    /// Rows of an interface that the kernel serves.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn served(&self, abi: Abi) -> Result<Vec<&'static Row>> {
        let code = abi.code();
        match self.ask("list served calls", |id| Request::Served { id, abi: code })? {
            Answer::Served(numbers) => Ok(abi
                .rows()
                .iter()
                .filter(|row| has_bit(&numbers, row.number))
                .collect()),
            answer => Err(unexpected("list served calls", &answer)),
        }
    }

    /// Ends a process, of whatever interface.
    ///
    /// # Errors
    /// When there is none of that number.
    pub fn kill(&self, pid: u64) -> Result<()> {
        let mut client = self.client();
        let id = client.next_id();
        client.send("kill a process", &Request::Kill { id, pid })?;
        let doing = format!("kill process {pid}");
        let refused = client.wait(&doing, self.options.run_timeout, |journal| {
            let answer = journal.answers.remove(&id).map(Some);
            answer.or_else(|| journal.process(pid).exited.map(|_| None))
        })?;
        match refused {
            Some(Answer::Refused { reason, message }) => Err(Error::Refused {
                what: doing,
                reason,
                message,
            }),
            Some(answer) => Err(unexpected(&doing, &answer)),
            None => Ok(()),
        }
    }

    /// Makes the kernel panic, to test that panics are told: at once, or in the
    /// next system call of process `pid` when that is not 0. The panic shows
    /// when the machine is waited on.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn panic_for_test(&self, pid: u64) -> Result<()> {
        self.client()
            .send("make the kernel panic", &Request::Panic { pid })
    }

    /// Sends bytes to the kernel's agent as they are, to test what it refuses.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn send_raw(&self, bytes: &[u8]) -> Result<()> {
        self.client().send_bytes("send bytes", bytes)
    }

    /// What the kernel said about requests that it could not read.
    pub fn bad_requests(&self) -> Vec<String> {
        self.client().journal.bad_requests.iter().cloned().collect()
    }

    /// Ends the machine in order and waits for that.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub fn shutdown(self) -> Result<()> {
        let mut client = self.client();
        client.send("shut down", &Request::Shutdown)?;
        let timeout = self.options.run_timeout;
        let ended = client.wait("see the machine end", timeout, |_| None::<()>);
        match ended {
            Err(Error::Died(death)) if death.phase == crate::Phase::Done => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    /// What it was booted with.
    pub fn options(&self) -> &VmOptions {
        &self.options
    }

    /// Machine that it runs on.
    pub fn backend(&self) -> BackendKind {
        self.backend
    }

    /// First message of the kernel.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Time on the host from nothing to ready. A copy is made when it is first
    /// asked for something, and that is in this time from then on.
    pub fn boot_time(&self) -> Duration {
        self.boot_time + self.client().made_in()
    }

    /// Kernel instructions from its first to ready; with
    /// [`VmOptions::meter_boot`] only.
    pub fn boot_kernel_instr(&self) -> Option<u64> {
        Some(self.boot.as_ref()?.instructions)
    }

    /// The same, told apart.
    pub fn boot_spent(&self) -> Option<&Spent> {
        self.boot.as_ref()
    }

    /// Text that the kernel wrote to COM1.
    pub fn serial_text(&self) -> String {
        String::from_utf8_lossy(&self.client().journal.serial).into()
    }

    pub(crate) fn client(&self) -> Held<'_> {
        self.client.lock()
    }

    /// The command that runs the current test again: its thread has its name.
    fn again(&self) -> String {
        let name = std::thread::current()
            .name()
            .map_or_else(String::new, Into::into);
        format!(
            "  again   MAYFLY_BACKEND={} cargo test {name}",
            self.backend
        )
    }

    pub(crate) fn shared_client(&self) -> Arc<Shared> {
        Arc::clone(&self.client)
    }

    pub(crate) fn witness(&self) -> Witness {
        Witness(self.shared_client())
    }

    pub(crate) fn ask(
        &self,
        what: &'static str,
        request: impl FnOnce(u32) -> Request<'static>,
    ) -> Result<Answer> {
        self.client().ask(what, self.options.run_timeout, request)
    }
}

mod start;

impl Drop for Vm {
    fn drop(&mut self) {
        let mut client = self.client();
        client.kill();
        if std::thread::panicking() {
            let context = report::context(&client.journal);
            let phase = client.journal.phase;
            tell::beside_test(format_args!(
                "microVM ({}, {phase}):\n{context}{}",
                self.backend,
                self.again()
            ));
        }
    }
}

impl Witness {
    /// What happened before a failure.
    pub(crate) fn context(&self) -> String {
        report::context(&self.0.lock().journal)
    }
}

fn has_bit(numbers: &[u64; 2], number: u64) -> bool {
    let word = usize::try_from(number / 64).ok();
    word.and_then(|word| numbers.get(word))
        .is_some_and(|word| word >> (number % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_found_by_number() {
        let numbers = [1 << 3, 1];
        assert!(has_bit(&numbers, 3) && has_bit(&numbers, 64));
        assert!(!has_bit(&numbers, 4) && !has_bit(&numbers, u64::MAX));
    }
}
