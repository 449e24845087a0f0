//! Gets a thread out of `KVM_RUN`: deadlines and interruptions, without a thread.
//!
//! Each thread that runs a vCPU owns a POSIX timer that sends that thread a
//! signal with an empty handler; `KVM_RUN` then returns. The timer repeats until
//! it is disarmed, so a signal that lands just before `KVM_RUN` is harmless: the
//! next one comes a millisecond later. An interruption from another thread is
//! the same timer, set to now. Neighbour: `vm`, which arms it for each run.

use std::cell::OnceCell;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::libc::{self, c_int, c_void, siginfo_t, timer_t};
use nix::unistd::gettid;
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler, unblock_signal};

use crate::Error;

/// Time between signals once the deadline is over or a run is interrupted.
const REPEAT: Duration = Duration::from_millis(1);
/// Time after which a run is looked at for the first time.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Real-time signal that we use: an arbitrary one in the middle.
fn signal_number() -> c_int {
    SIGRTMIN() + 7
}

extern "C" fn on_signal(_: c_int, _: *mut siginfo_t, _: *mut c_void) {}

/// Installs the handler once for the process.
fn install_handler() -> Result<(), Error> {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.get().is_none() {
        register_signal_handler(signal_number(), on_signal)
            .map_err(|e| Error::host("sigaction")(io::Error::from_raw_os_error(e.errno())))?;
        let _ = DONE.set(());
    }
    Ok(())
}

/// The timer of one thread.
#[derive(Debug)]
struct Timer(timer_t);

/// Names a timer, from any thread.
#[derive(Clone, Copy, Debug)]
struct TimerName(timer_t);

// SAFETY: a timer_t is a number that the kernel looks up in the process, on
// whichever thread; it is never dereferenced here.
unsafe impl Send for TimerName {}

impl Timer {
    /// A timer that signals the calling thread.
    fn for_this_thread() -> Result<Self, Error> {
        install_handler()?;
        unblock_signal(signal_number())
            .map_err(|e| Error::host("sigprocmask")(io::Error::other(format!("{e:?}"))))?;
        // SAFETY: sigevent is plain data, valid when zero.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal_number();
        event.sigev_notify_thread_id = gettid().as_raw();
        let mut timer = MaybeUninit::uninit();
        // SAFETY: both pointers are to live locals of the right type.
        let result = unsafe {
            libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr())
        };
        if result != 0 {
            return Err(Error::host("timer_create")(io::Error::last_os_error()));
        }
        // SAFETY: timer_create succeeded, so it wrote the timer.
        Ok(Self(unsafe { timer.assume_init() }))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer is ours, and no run can name it any more: `Armed`
        // is gone before its thread ends.
        unsafe { libc::timer_delete(self.0) };
    }
}

impl TimerName {
    /// Fires after `first` and then every `again`; zero `first` disarms.
    fn set(self, first: Duration, again: Duration) {
        let spec = libc::itimerspec {
            it_interval: timespec(again),
            it_value: timespec(first),
        };
        // SAFETY: the timer exists while it is named (see `Kick::running`), and
        // the specification is a live local; the old one is not asked for.
        // It cannot fail: the timer and the times are valid.
        unsafe { libc::timer_settime(self.0, 0, &raw const spec, std::ptr::null_mut()) };
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

thread_local! {
    /// Made when this thread first runs a vCPU.
    static TIMER: OnceCell<Timer> = const { OnceCell::new() };
}

fn this_threads_timer() -> Result<TimerName, Error> {
    TIMER.with(|cell| {
        if let Some(timer) = cell.get() {
            return Ok(TimerName(timer.0));
        }
        let timer = Timer::for_this_thread()?;
        Ok(TimerName(cell.get_or_init(|| timer).0))
    })
}

/// One VM's way out of `KVM_RUN`.
#[derive(Debug, Default)]
pub(crate) struct Kick {
    requested: AtomicBool,
    /// Timer of the thread that is running the vCPU right now.
    running: Mutex<Option<TimerName>>,
}

impl Kick {
    /// Arms the calling thread's timer for one run.
    pub(crate) fn arm(&self, deadline: Instant) -> Result<Armed<'_>, Error> {
        let timer = this_threads_timer()?;
        let armed = Armed { kick: self, timer };
        let mut running = self.running();
        armed.aim(deadline);
        *running = Some(timer);
        Ok(armed)
    }

    /// Asks the run that is under way, or the next one, to stop.
    pub(crate) fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
        if let Some(timer) = *self.running() {
            timer.set(Duration::from_nanos(1), REPEAT);
        }
    }

    /// Whether a stop was asked for; forgets it.
    pub(crate) fn take_request(&self) -> bool {
        self.requested.load(Ordering::Relaxed) && self.requested.swap(false, Ordering::SeqCst)
    }

    fn running(&self) -> MutexGuard<'_, Option<TimerName>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, signals reach the thread.
#[derive(Debug)]
pub(crate) struct Armed<'a> {
    kick: &'a Kick,
    timer: TimerName,
}

impl Armed<'_> {
    /// Sets the timer to the next moment of interest: a look at the guest, or
    /// the deadline.
    fn aim(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left > LOOK {
            self.timer.set(LOOK, LOOK);
        } else {
            self.timer.set(left.max(Duration::from_nanos(1)), REPEAT);
        }
    }

    /// Aims again after a look, unless somebody asked for a stop meanwhile.
    pub(crate) fn aim_again(&self, deadline: Instant) {
        let _running = self.kick.running();
        if !self.kick.requested.load(Ordering::SeqCst) {
            self.aim(deadline);
        }
    }
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        let mut running = self.kick.running();
        self.timer.set(Duration::ZERO, Duration::ZERO);
        *running = None;
    }
}
