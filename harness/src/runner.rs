//! Runs the body of a `#[mayfly::test]`.
//!
//! Purpose: boots the machine, hands it to the body, and turns whatever goes
//! wrong into one report and a failed test. Neighbours: the attribute in
//! `harness/macros` expands to a call of [`run`].

use std::fmt::{Display, Write as _};
use std::num::{NonZeroU32, ParseIntError};

use crate::backend::{BackendKind, kvm};
use crate::budget;
use crate::environment;
use crate::error::Error;
use crate::microvm::Vm;
use crate::options::VmOptions;
use crate::{tell, turns};

/// What a test body may return.
pub trait Verdict {
    /// The failure in words, if it is one.
    fn failure(self) -> Option<String>;
}

impl Verdict for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Display> Verdict for std::result::Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// Boots a microVM, runs `body` with it, and panics with a report when either
/// fails; as often as `MAYFLY_REPEAT` says, with a microVM each time.
///
/// # Panics
/// That is how a test fails.
pub fn run<V: Verdict>(name: &str, options: VmOptions, body: impl Fn(Vm) -> V) {
    repeated(times(), || run_once(name, options.clone(), &body));
}

/// Runs `body`, which makes its machines itself, and panics with a report when it
/// fails; as often as `MAYFLY_REPEAT` says.
///
/// # Panics
/// That is how a test fails.
pub fn repeat<V: Verdict>(name: &str, body: impl Fn() -> V) {
    repeated(times(), || {
        if let Some(failure) = body().failure() {
            let backend = backend_name();
            panic!("{}", report("FAIL", name, &backend, &failure, ""));
        }
    });
}

/// Does the rounds of a test, each of which begins as the first one does.
pub(crate) fn repeated(times: u32, mut round: impl FnMut()) {
    for _ in 0..times {
        budget::begin();
        round();
    }
}

fn times() -> u32 {
    match environment::text("MAYFLY_REPEAT") {
        Some(times) => repetitions(&times).unwrap_or_else(|why| panic!("{why}")),
        None => NonZeroU32::MIN,
    }
    .get()
}

/// How often `MAYFLY_REPEAT` has each test run. Not at all is no answer: every
/// test would pass.
fn repetitions(times: &str) -> std::result::Result<NonZeroU32, String> {
    let wrong = |why: ParseIntError| {
        format!("MAYFLY_REPEAT={times}: {why}; it is how often each test runs, 1 or more")
    };
    times.parse().map_err(wrong)
}

fn run_once<V: Verdict>(name: &str, options: VmOptions, body: impl Fn(Vm) -> V) {
    let _turn = turns::take(options.memory_bytes);
    let vm = booted(name, options);
    let backend = vm.backend();
    let witness = vm.witness();
    if let Some(failure) = body(vm).failure() {
        let context = witness.context();
        panic!(
            "{}",
            report("FAIL", name, backend.name(), &failure, &context)
        );
    }
}

/// How often a long test does what it does: `all`, or `few` where KVM interprets
/// the kernel in software (a thousand times slower), unless `MAYFLY_SLOW` is set.
pub fn rounds(vm: &Vm, few: u64, all: u64) -> u64 {
    let quick = vm.backend() != BackendKind::Kvm || kvm::has_hardware_virtualisation();
    if quick || environment::value("MAYFLY_SLOW").is_some() {
        all
    } else {
        few
    }
}

/// A microVM with the default options, for a test without the attribute.
///
/// # Panics
/// With a report, when none can be booted.
pub fn vm() -> Vm {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    booted(&name, VmOptions::default())
}

fn booted(name: &str, options: VmOptions) -> Vm {
    match Vm::with_options(options) {
        Ok(vm) => vm,
        Err(error) => {
            let backend = backend_name();
            panic!(
                "{}",
                report(verdict(&error), name, &backend, &error.to_string(), "")
            );
        }
    }
}

/// The back end that was asked for, for reports.
fn backend_name() -> String {
    environment::text("MAYFLY_BACKEND").unwrap_or_else(|| "kvm".into())
}

/// Verdict of a test whose machine did not come up.
fn verdict(error: &Error) -> &'static str {
    match error {
        Error::Died(death) if death.kind() == "timeout" => "TIMEOUT (set-up)",
        Error::Died(_) => "CRASHED (set-up)",
        _ => "BROKEN",
    }
}

fn report(verdict: &str, name: &str, backend: &str, failure: &str, context: &str) -> String {
    // The path that cargo test filters by begins behind the test binary's name.
    let filter = name.split_once("::").map_or(name, |(_, rest)| rest);
    let mut text = format!("{verdict} {name}  (back end {backend})\n\n{failure}\n");
    text.push_str(context);
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "  again   MAYFLY_BACKEND={backend} cargo test -p {} {filter}",
        package()
    );
    annotate(failure);
    text
}

fn package() -> String {
    std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "mayfly".into())
}

/// Tells GitHub about a failure, where that is what runs the test.
fn annotate(failure: &str) {
    if std::env::var_os("GITHUB_ACTIONS").is_some() {
        tell::beside_test(format_args!(
            "::error::{}",
            failure.lines().next().unwrap_or_default()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_begins_with_the_verdict_and_ends_with_the_command() {
        let text = report(
            "FAIL",
            "veridian::ipc::narrow",
            "kvm",
            "cause",
            "  before  x\n",
        );
        assert!(text.starts_with("FAIL veridian::ipc::narrow"), "{text}");
        assert!(text.trim_end().ends_with("ipc::narrow"), "{text}");
        assert!(text.lines().count() <= 25);
    }

    #[test]
    fn results_and_nothing_are_verdicts() {
        assert_eq!(().failure(), None);
        assert_eq!(Ok::<(), String>(()).failure(), None);
        assert_eq!(Err::<(), &str>("no").failure(), Some("no".into()));
    }

    #[test]
    fn a_test_runs_once_at_least() {
        assert_eq!(repetitions("50").map(NonZeroU32::get), Ok(50));
        for times in ["0", "-5", "", "often"] {
            let why = repetitions(times).unwrap_err();
            assert!(
                why.starts_with(&format!("MAYFLY_REPEAT={times}: ")),
                "{why}"
            );
        }
    }
}
