//! A program in a microVM: how to start it, wait for it, read what it did.
//!
//! Purpose: the counterpart of `std::process` for guests. [`Command`] is made
//! by [`Vm::spawn`], [`Process`] runs while the host waits on its machine, and
//! [`Output`] has all of it. Neighbours: `microvm` above, `client` below.

use std::convert::Infallible;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use mayfly_abi::Abi;
use mayfly_wire::message::{Input, Request, Spawn};

use crate::cause::ExitStatus;
use crate::error::{Error, Result, unexpected};
use crate::journal::{Answer, Told};
use crate::metering;
use crate::microvm::Vm;
use crate::output::{Child, Output, Progress, ticks_as_time};
use crate::stdin::{Source, Stdin};
use crate::transcript::Call;

/// A program to be started.
#[must_use = "a command does nothing until it is started or run"]
pub struct Command<'vm> {
    vm: &'vm Vm,
    program: String,
    arguments: Vec<String>,
    abi: Option<Abi>,
    trace: bool,
    frames_max: u32,
    meter: bool,
    stdin: Stdin,
}

impl<'vm> Command<'vm> {
    pub(crate) fn new(vm: &'vm Vm, program: &str) -> Self {
        Self {
            vm,
            program: program.into(),
            arguments: Vec::new(),
            abi: vm.options().abi,
            trace: true,
            frames_max: 0,
            meter: false,
            stdin: Stdin::Empty,
        }
    }

    /// Adds an argument; the program's own name comes before the first.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Serves the program the system calls of `abi`, whatever its file says.
    pub fn abi(mut self, abi: Abi) -> Self {
        self.abi = Some(abi);
        self
    }

    /// Whether to record its system calls; they are unless this says no.
    pub fn trace(mut self, trace: bool) -> Self {
        self.trace = trace;
        self
    }

    /// Most frames of memory that it may use.
    pub fn frames_max(mut self, frames: u32) -> Self {
        self.frames_max = frames;
        self
    }

    /// Counts the kernel instructions of its calls, where the machine can: well, if it
    /// is made for it ([`crate::VmOptions::meter`]). Tracing a call costs some, and
    /// counting takes time: see [`Output::take_counts`].
    pub fn meter(mut self, meter: bool) -> Self {
        self.meter = meter;
        self
    }

    /// Gives it these bytes as its standard input, which ends behind them.
    /// Without, it is at its end from the beginning.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// Leaves its standard input to [`Process::input`] and
    /// [`Process::close_input`].
    pub fn stdin_piped(mut self) -> Self {
        self.stdin = Stdin::Piped;
        self
    }

    /// Gives it what `reader` gives, as it comes. A thread reads, somewhat
    /// ahead of the program; it may block for as long as it likes. A wait for
    /// the program fails when reading does.
    pub fn stdin_from(mut self, reader: impl Read + Send + 'static) -> Self {
        self.stdin = Stdin::Reader(Box::new(reader));
        self
    }

    /// Starts it. It runs whenever the host waits on its machine.
    ///
    /// # Errors
    /// When the kernel refuses, or the machine ends.
    pub fn start(self) -> Result<Process<'vm>> {
        let argv = self.argv()?;
        let what = format!("start {}", self.program);
        let timeout = self.vm.options().run_timeout;
        let mut client = self.vm.client();
        let metered = self.meter && client.meter_anew(self.vm.options().counting())?;
        let id = client.next_id();
        let spawn = Spawn {
            abi: self.abi.map_or(0, Abi::code),
            program: &self.program,
            argv: &argv,
            trace: self.trace,
            frames_max: self.frames_max,
            input: match self.stdin.is_sent() {
                true => Input::Sent,
                false => Input::Empty,
            },
        };
        client.send("start a program", &Request::Spawn { id, spawn })?;
        match client.answer(&what, timeout, id)? {
            Answer::Started { pid, root, abi } => {
                client.journal.process(pid).program = self.program.clone();
                let source = client.connect(pid, self.stdin)?;
                Ok(Process {
                    vm: self.vm,
                    pid,
                    root,
                    abi: Abi::from_code(abi),
                    program: self.program,
                    metered,
                    source,
                })
            }
            answer => Err(unexpected(&what, &answer)),
        }
    }

    /// Starts it and waits until it ends.
    ///
    /// # Errors
    /// When the kernel refuses, the machine ends, or the time is over. That
    /// the program failed is no error: see [`Output::status`].
    pub fn run(self) -> Result<Output> {
        self.start()?.wait()
    }

    /// The program's name and its arguments, each with a NUL behind it.
    fn argv(&self) -> Result<Vec<u8>> {
        let mut argv = Vec::new();
        for argument in std::iter::once(&self.program).chain(&self.arguments) {
            if argument.contains('\0') {
                return Err(Error::Usage {
                    what: format!("start {}", self.program),
                    why: format!("the argument {argument:?} contains a NUL"),
                    remedy: "arguments without NUL; one ends each of them".into(),
                });
            }
            argv.extend_from_slice(argument.as_bytes());
            argv.push(0);
        }
        Ok(argv)
    }
}

/// A program that was started.
#[derive(Clone)]
pub struct Process<'vm> {
    vm: &'vm Vm,
    pid: u64,
    root: u64,
    abi: Option<Abi>,
    program: String,
    metered: bool,
    source: Option<Arc<Source>>,
}

impl Process<'_> {
    /// The same process in a sibling of its machine ([`Vm::fork`]). Standard
    /// input that it has not read yet is this one's alone.
    pub fn in_vm<'vm>(&self, sibling: &'vm Vm) -> Process<'vm> {
        Process {
            vm: sibling,
            pid: self.pid,
            root: self.root,
            abi: self.abi,
            program: self.program.clone(),
            metered: self.metered,
            source: None,
        }
    }

    /// Its process id in the guest.
    pub fn pid(&self) -> u64 {
        self.pid
    }

    /// Interface that it is served.
    pub fn abi(&self) -> Option<Abi> {
        self.abi
    }

    /// Root of its page tables, by which a meter tells processes apart.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Waits until it ends, for as long as the options say.
    ///
    /// # Errors
    /// When the machine ends first, or the time is over; the process can still
    /// be killed then.
    pub fn wait(&self) -> Result<Output> {
        self.wait_for(self.vm.options().run_timeout)
    }

    /// Waits until it ends, but no longer than `timeout`.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn wait_for(&self, timeout: Duration) -> Result<Output> {
        self.wait_with_output(timeout, |_, _| ())
    }

    /// Waits until it ends, and hands on what it writes as it is written:
    /// `written` gets 1 (standard output) or 2 (standard error) and the bytes; it
    /// may give [input](Process::input), and panics if it asks for more.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn wait_with_output(
        &self,
        timeout: Duration,
        mut written: impl FnMut(u8, &[u8]),
    ) -> Result<Output> {
        let told = |progress: Progress<'_>| {
            if let Progress::Written(stream, bytes) = progress {
                written(stream, bytes);
            }
            ControlFlow::<Infallible>::Continue(())
        };
        match self.follow(timeout, usize::MAX, told)? {
            ControlFlow::Continue(output) => Ok(output),
            ControlFlow::Break(never) => match never {},
        }
    }

    /// The same, and tells who dies meanwhile, until `told` breaks: then with what
    /// it breaks. The process goes on when its machine does. What was handed on is
    /// not kept, as it may be without end: of each stream the output has the last
    /// 64 KiB, or some more.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn wait_while<B>(
        &self,
        timeout: Duration,
        told: impl FnMut(Progress<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, Output>> {
        self.follow(timeout, 64 << 10, told)
    }

    fn follow<B>(
        &self,
        timeout: Duration,
        kept: usize,
        mut tell: impl FnMut(Progress<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, Output>> {
        let doing = format!("see {} (process {}) end", self.program, self.pid);
        let mut client = self.vm.client();
        let mut told = Told::of(&client.journal);
        let ended = client.wait(&doing, timeout, |journal| {
            if let ControlFlow::Break(with) = journal.hand_on(self.pid, &mut told, kept, &mut tell)
            {
                return Some(ControlFlow::Break(with));
            }
            let known = journal.process(self.pid);
            known.finished().map(ControlFlow::Continue)
        })?;
        let exited = match ended {
            ControlFlow::Continue(exited) => exited,
            ControlFlow::Break(with) => return Ok(ControlFlow::Break(with)),
        };
        let visits = if self.metered {
            client.meter(None)?;
            client.take_visits()
        } else {
            Vec::new()
        };
        let khz = client
            .journal
            .ready
            .as_ref()
            .map_or(0, |ready| ready.tsc_khz);
        let family = client.journal.family(self.pid);
        let known = |pid| Some((pid, client.journal.processes.get(&pid)?));
        let family: Vec<_> = family.into_iter().filter_map(known).collect();
        let mut calls: Vec<_> = family.iter().flat_map(|(_, it)| it.calls.clone()).collect();
        calls.sort_by_key(Call::left_tsc);
        let children = family.iter().filter_map(|(pid, it)| Child::new(*pid, it));
        let children: Vec<Child> = children.collect();
        let roots = children.iter().map(|child| (child.pid, child.root));
        for (pid, root) in roots.chain([(self.pid, self.root)]) {
            let own = calls.iter_mut().filter(|call| call.pid() == pid);
            metering::assign(&visits, root, own);
        }
        let known = client.journal.process(self.pid);
        Ok(ControlFlow::Continue(Output {
            program: self.program.clone(),
            abi: self.abi,
            stdout: known.stdout.clone(),
            stderr: known.stderr.clone(),
            calls,
            children,
            kernel_instr: metering::total(&visits, self.root),
            visits,
            root: self.root,
            exited,
            duration: ticks_as_time(exited.ran_tsc, khz),
            status: ExitStatus {
                cause: exited.cause.into(),
                code: exited.status,
            },
            cause: exited.cause.into(),
        }))
    }

    /// What it wrote to its standard output so far.
    pub fn stdout_so_far(&self) -> Vec<u8> {
        self.vm.client().journal.process(self.pid).stdout.clone()
    }

    /// Runs it until what it has written to its standard output is `enough`, or
    /// it has ended; what it has written by then.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn wait_for_stdout(&self, mut enough: impl FnMut(&[u8]) -> bool) -> Result<Vec<u8>> {
        let timeout = self.vm.options().run_timeout;
        let doing = format!("hear from {} (process {})", self.program, self.pid);
        self.vm.client().wait(&doing, timeout, |journal| {
            let known = journal.process(self.pid);
            let found = known.finished().is_some() || enough(&known.stdout);
            found.then(|| known.stdout.clone())
        })
    }

    /// Adds bytes to its standard input, which must be
    /// [piped](Command::stdin_piped). They reach it while its machine is waited
    /// on, when it reads; another thread may do this meanwhile.
    ///
    /// # Errors
    /// When it was not started so, or is known to read no more.
    pub fn input(&self, bytes: &[u8]) -> Result<()> {
        self.source(|source| source.write(bytes))
    }

    /// Ends its standard input behind what was added.
    ///
    /// # Errors
    /// As [`Process::input`].
    pub fn close_input(&self) -> Result<()> {
        self.source(Source::end)
    }

    fn source(&self, act: impl FnOnce(&Source) -> Result<(), &'static str>) -> Result<()> {
        let done = match &self.source {
            Some(source) => act(source),
            None => Err("it was started without: Command::stdin_piped gives it some"),
        };
        done.map_err(|why| Error::NoReader {
            program: self.program.clone(),
            pid: self.pid,
            why,
        })
    }

    /// Ends it and waits until it is gone.
    ///
    /// # Errors
    /// When it is gone already, or the machine has ended.
    pub fn kill(&self) -> Result<Output> {
        self.vm.kill(self.pid)?;
        self.wait()
    }
}
