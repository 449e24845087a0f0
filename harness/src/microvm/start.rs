//! How microVMs begin: they boot, or are copies.

use std::sync::Arc;
use std::time::Instant;

use super::{From, Vm};
use crate::backend::{self, BackendKind};
use crate::client::{Client, Shared};
use crate::error::Result;
use crate::image;
use crate::journal::Ready;
use crate::metering::Spent;
use crate::options::VmOptions;
use crate::snapshot;
use crate::terminal::{Line, Terminal};

impl Vm {
    /// Boots a microVM with the default options.
    ///
    /// # Errors
    /// When the host cannot run it, or the kernel does not become ready.
    pub fn boot() -> Result<Self> {
        Self::with_options(VmOptions::default())
    }

    /// Boots a microVM with the given options.
    ///
    /// # Errors
    /// When the host cannot run it, or the kernel does not become ready.
    pub fn with_options(mut options: VmOptions) -> Result<Self> {
        let kind = settle(&mut options)?;
        let started = Instant::now();
        match snapshot::start(kind, &options)? {
            Some((client, ready)) => Self::copied(client, ready, options, started),
            None => Self::booted(kind, options, started),
        }
    }

    /// A microVM in which a program stands at its prompt on the terminal
    /// ([`Vm::terminal`]): a copy of one in which it does, if there may be
    /// copies. The program must say where its prompt is, as the shell does.
    ///
    /// # Errors
    /// Those of [`Vm::with_options`] and of [`Vm::terminal`].
    pub fn at_prompt(
        mut options: VmOptions,
        line: Line,
        program: &str,
    ) -> Result<(Self, Terminal)> {
        let kind = settle(&mut options)?;
        let started = Instant::now();
        let Some((client, ready, answer)) =
            snapshot::start_at_prompt(kind, &options, line, program)?
        else {
            let vm = Self::with_options(options)?;
            let terminal = vm.terminal(line, program)?;
            return Ok((vm, terminal));
        };
        let mut vm = Self::copied(client, ready, options, started)?;
        vm.origin = From::Prompt;
        let terminal = Terminal::of(&vm, program, &answer)?;
        Ok((vm, terminal))
    }

    /// A machine that is a copy.
    fn copied(
        mut client: Client,
        ready: Ready,
        options: VmOptions,
        started: Instant,
    ) -> Result<Self> {
        ready.check_version()?;
        client.journal.files.clone_from(&options.files);
        Ok(Self {
            client: Arc::new(Shared::new(client)),
            backend: BackendKind::Kvm,
            options,
            ready,
            boot_time: started.elapsed(),
            boot: None,
            origin: From::Snapshot,
        })
    }

    /// A machine that boots.
    fn booted(kind: BackendKind, options: VmOptions, started: Instant) -> Result<Self> {
        let mut client = Client::new(backend::start(kind, &options)?);
        client.journal.files.clone_from(&options.files);
        let metered = options.meter_boot && client.meter(Some(options.counting()))?;
        let ready = client.ready(options.setup_timeout)?;
        let boot_time = started.elapsed();
        let mut boot = None;
        if metered {
            client.meter(None)?;
            boot = Some(Spent::of(&client.take_visits()));
        }
        ready.check_version()?;
        Ok(Self {
            client: Arc::new(Shared::new(client)),
            options,
            backend: kind,
            ready,
            boot_time,
            boot,
            origin: From::Boot,
        })
    }
}

/// The machine that is asked for, its programs read.
fn settle(options: &mut VmOptions) -> Result<BackendKind> {
    image::check()?;
    if let Some(folder) = options.programs.take() {
        options.files.extend(image::read_programs(&folder)?);
    }
    match options.backend {
        Some(kind) => Ok(kind),
        None => BackendKind::from_environment(),
    }
}
