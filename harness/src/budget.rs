//! What a call may cost in a test, and which functions grew when it costs more.
//!
//! Purpose: [`crate::budget!`] checks here. Beside each package, `budgets/` has
//! the functions of its budgets as they were agreed on, a file for each test
//! binary; `MAYFLY_BLESS=1 cargo test` rewrites what the tests that run have.
//! Neighbours: [`crate::profile`] folds, `mayfly_bench::functions` compares.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use mayfly_bench::functions::{self, Growth, Profile};

use crate::backend::BackendKind;
use crate::environment;
use crate::error::Error;
use crate::metering::Spent;
use crate::symbols::Kernel;
use crate::{profile, snippet, tell};

/// Variable that agrees to the functions as they are.
const BLESS: &str = "MAYFLY_BLESS";
/// Instructions by which the way into the kernel and out of it is longer by
/// `SYSCALL` than where a call arrives as a page fault: budgets are of the latter.
pub const SYSCALL_MORE: u64 = 8;
/// Functions shown.
const SHOWN: usize = 8;

thread_local! {
    /// How often this thread's test has checked what, in the round that it is in.
    static CHECKED: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// A test begins, perhaps not for the first time (`MAYFLY_REPEAT`).
pub(crate) fn begin() {
    CHECKED.with_borrow_mut(BTreeMap::clear);
}

/// A check in the source of a test; [`crate::budget!`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Folder of its package.
    pub package: &'static str,
    /// Its module.
    pub module: &'static str,
    /// What is checked, as it is written there.
    pub what: &'static str,
    /// Its source file.
    pub file: &'static str,
    /// The line there.
    pub line: u32,
}

/// Checks a count, the path of which is in `spent` if it was kept.
///
/// # Errors
/// The report, when it is over its budget, or when nothing was counted though
/// the tests' back end counts.
pub fn check(
    place: Place,
    count: Option<u64>,
    most: u64,
    spent: Option<&Spent>,
) -> Result<(), String> {
    let Some(count) = count else {
        return uncounted(place, BackendKind::from_environment());
    };
    let most = most + spent.map_or(0, |spent| SYSCALL_MORE * spent.syscalls);
    let (file, key) = (place.file(), place.key());
    let path = spent.map_or(&[][..], |spent| &spent.path);
    if count <= most {
        if environment::value(BLESS).is_some() && !path.is_empty() {
            let now = profile::of_path(&mut Kernel::new(), path);
            if let Err(error) = bless(&file, key, functions::profile(&now)) {
                tell::beside_test(format_args!(
                    "note: cannot write {}: {error}",
                    file.display()
                ));
            }
        }
        return Ok(());
    }
    let mut report = format!(
        "over budget: {} took {count} kernel instructions, {most} are allowed",
        place.what
    );
    let now = profile::of_path(&mut Kernel::new(), path);
    let before = match path.is_empty() {
        true => Ok(Profile::new()),
        false => known(&file, &key),
    };
    match before {
        _ if path.is_empty() => {
            report += "\n  its functions are not known: only calls of a probe keep them";
        }
        Ok(before) => {
            let was: u64 = before.values().sum();
            let _ = write!(report, ", {was} were agreed on; what changed:");
            list(&functions::growth(&before, &now), &mut report);
        }
        Err(why) => {
            let _ = write!(report, "\n  {why}; where they were:");
            list(&functions::growth(&Profile::new(), &now), &mut report);
        }
    }
    report.push('\n');
    report.push_str(snippet::at(place.file, place.line).trim_end());
    Err(report)
}

/// What no count means: nothing to check on QEMU; anywhere else the test checks
/// nothing, though it says that it does.
fn uncounted(place: Place, backend: Result<BackendKind, Error>) -> Result<(), String> {
    if matches!(backend, Ok(BackendKind::Qemu)) {
        tell::beside_test(format_args!(
            "n/a: kernel_instr: QEMU does not count instructions"
        ));
        return Ok(());
    }
    let mut report = format!("nothing was counted: {} has no kernel_instr", place.what);
    report += "\n  a budget in a helper: #[mayfly::test(meter)] on its test";
    report += "\n  a machine of the test's own: VmOptions::default().meter(true)";
    report += "\n  a count taken from a program's run: it has no such call";
    report.push('\n');
    report.push_str(snippet::at(place.file, place.line).trim_end());
    Err(report)
}

/// Functions, a line each.
fn list(growths: &[Growth], report: &mut String) {
    for grew in growths.iter().take(SHOWN) {
        // Writing to a string does not fail.
        let _ = write!(report, "\n  {grew}");
    }
    let rest: i64 = growths.iter().skip(SHOWN).map(|grew| grew.by).sum();
    if growths.len() > SHOWN {
        let _ = write!(
            report,
            "\n  {rest:>+6}  in {} others",
            growths.len() - SHOWN
        );
    }
}

impl Place {
    /// The file that the functions are kept in.
    fn file(&self) -> PathBuf {
        let binary = self.module.split("::").next().unwrap_or_default();
        let folder = Path::new(self.package).join("budgets");
        folder.join(format!("{binary}.txt"))
    }

    /// Its name in that file: the test, what is checked, and the how manieth time.
    fn key(&self) -> String {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or(self.module);
        let key = format!("{test} {}", self.what.replace('\n', " "));
        let times = CHECKED.with_borrow_mut(|checked| {
            let times = checked.entry(key.clone()).or_default();
            *times += 1;
            *times
        });
        format!("{key} {times}")
    }
}

/// What was agreed on.
fn known(file: &Path, key: &str) -> Result<Profile, String> {
    let nothing = || format!("nothing was agreed on in {}: {BLESS}=1", file.display());
    let text = fs::read_to_string(file).map_err(|_| nothing())?;
    let mut profiles = BTreeMap::new();
    functions::read(&text, &mut profiles)
        .map_err(|(line, why)| format!("{}:{line}: {why}", file.display()))?;
    profiles.remove(key).ok_or_else(nothing)
}

/// Takes a profile into a file, in which other tests may be writing, too.
fn bless(file: &Path, key: String, profile: Profile) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let turn = File::options().create(true).append(true).open(file)?;
    turn.lock()?;
    let mut profiles = BTreeMap::new();
    // What cannot be read is replaced.
    let _ = functions::read(&fs::read_to_string(file)?, &mut profiles);
    profiles.insert(key, profile);
    fs::write(file, functions::write(profiles.iter()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::kernel_symbol;

    const PLACE: Place = Place {
        package: "none",
        module: "budget",
        what: "call",
        file: "harness/src/budget.rs",
        line: 1,
    };

    #[test]
    fn what_grew_is_told_against_what_was_agreed_on() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            package: Box::leak(folder.path().display().to_string().into_boxed_str()),
            ..PLACE
        };
        let entry = kernel_symbol("syscall_entry").unwrap();
        let spent = Spent {
            instructions: 3,
            path: vec![entry; 3],
            ..Spent::default()
        };
        let report = |spent| check(place, Some(3), 2, spent).unwrap_err();
        let first = report(Some(&spent));
        assert!(
            first.starts_with("over budget: call took 3 kernel instructions, 2 are allowed"),
            "{first}"
        );
        assert!(
            first.contains("MAYFLY_BLESS=1") && first.contains("+3  syscall_entry"),
            "{first}"
        );
        assert!(report(None).contains("are not known"));
        // The next check of this test is its third.
        let mut key = place.key();
        key.replace_range(key.len() - 1.., "4");
        let agreed = profile::of_path(&mut Kernel::new(), &[entry]);
        bless(&place.file(), key, functions::profile(&agreed)).unwrap();
        let second = report(Some(&spent));
        assert!(
            second.contains("1 were agreed on") && second.contains("+2  syscall_entry"),
            "{second}"
        );
        assert_eq!(check(place, Some(2), 2, None), Ok(()));
    }

    #[test]
    fn a_budget_is_the_same_promise_where_calls_arrive_by_syscall() {
        let by = |syscalls| Spent {
            syscalls,
            ..Spent::default()
        };
        assert_eq!(check(PLACE, Some(72), 64, Some(&by(1))), Ok(()));
        assert!(check(PLACE, Some(73), 64, Some(&by(1))).is_err());
        assert!(check(PLACE, Some(72), 64, Some(&by(0))).is_err());
        assert_eq!(check(PLACE, Some(80), 64, Some(&by(2))), Ok(()));
    }

    #[test]
    fn a_round_of_a_test_has_the_keys_of_the_first_one() {
        let mut rounds = Vec::new();
        crate::runner::repeated(2, || rounds.push([PLACE.key(), PLACE.key()]));
        assert_ne!(rounds[0][0], rounds[0][1]);
        assert_eq!(rounds[0], rounds[1]);
    }

    #[test]
    fn what_was_not_counted_is_within_no_budget() {
        let report = uncounted(PLACE, Ok(BackendKind::Kvm)).unwrap_err();
        assert!(report.starts_with("nothing was counted: call"), "{report}");
        assert!(report.contains("#[mayfly::test(meter)]"), "{report}");
        assert_eq!(uncounted(PLACE, Ok(BackendKind::Qemu)), Ok(()));
        let counts = matches!(BackendKind::from_environment(), Ok(BackendKind::Kvm));
        assert_eq!(check(PLACE, None, 2, None).is_err(), counts);
    }
}
