//! Processes that end when this one does, however that happens.
//!
//! Purpose: a SIGKILL of a test or of the tool leaves no machine behind. Linux
//! ends a child with the *thread* that started it, so one thread, which lives as
//! long as the process, starts them all. Neighbours: [`super::qemu`].

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

/// A program to start, and where its process goes.
struct Order {
    command: Command,
    started: Sender<io::Result<Child>>,
}

/// Starts `command`; its process is killed when this one ends.
///
/// # Errors
/// Those of [`Command::spawn`].
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = match SPAWNER.get() {
        Some(spawner) => spawner,
        None => {
            let spawner = start()?;
            // Of two at once, the other one's thread ends with its sender.
            SPAWNER.get_or_init(|| spawner)
        }
    };
    let (started, answer) = channel();
    let gone = |_| io::Error::other("the thread that starts programs has ended");
    spawner
        .send(Order { command, started })
        .map_err(|error| gone(error.to_string()))?;
    answer.recv().map_err(|error| gone(error.to_string()))?
}

/// Starts the thread.
fn start() -> io::Result<Sender<Order>> {
    let (sender, orders) = channel();
    thread::Builder::new()
        .name("mayfly-spawner".into())
        .spawn(move || serve(&orders))?;
    Ok(sender)
}

fn serve(orders: &Receiver<Order>) {
    for Order {
        mut command,
        started,
    } in orders
    {
        let parent = Pid::this();
        let die_with_parent = move || {
            set_pdeathsig(Signal::SIGKILL)?;
            // Had it ended before, nobody would tell.
            match getppid() == parent {
                true => Ok(()),
                false => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        // SAFETY: `die_with_parent` makes two system calls and nothing else, so
        // it takes no lock and no memory that another thread may have held.
        unsafe { command.pre_exec(die_with_parent) };
        let child = command.spawn();
        // The command has this process's copies of the descriptors it passed on.
        drop(command);
        // Who asked waits for the answer.
        drop(started.send(child));
    }
}
