//! Made-up medians and what is to be said of them.
//!
//! Neighbour: `alarms` tells how often that is wrong.

use super::*;
use crate::run::Testbed;

fn kept(medians: &[u64]) -> Kept {
    Kept {
        name: "x".into(),
        medians: medians.into(),
        ..Kept::default()
    }
}

fn verdict(then: &[u64], now: &[u64]) -> Verdict {
    times(&kept(then), &kept(now), 0).unwrap().verdict
}

#[test]
fn equal_kernels_are_the_same() {
    assert_eq!(
        verdict(&[100, 102, 99, 101, 100], &[101, 99, 100, 102, 100]),
        Verdict::Same
    );
    assert_eq!(
        verdict(&[100], &[200]),
        Verdict::Same,
        "one machine says nothing"
    );
    assert_eq!(times(&kept(&[]), &kept(&[1]), 0), None);
}

#[test]
fn a_change_beyond_the_noise_is_told() {
    let then = [1000, 1002, 999, 1001, 1000];
    assert_eq!(
        verdict(&then, &[1100, 1101, 1103, 1099, 1100]),
        Verdict::Slower
    );
    assert_eq!(verdict(&then, &[900, 901, 903, 899, 900]), Verdict::Faster);
    assert_eq!(
        verdict(&then, &[1010, 1011, 1012, 1010, 1011]),
        Verdict::Noise
    );
    // Machines that differ among themselves by more than the change.
    assert_eq!(
        verdict(
            &[900, 1000, 1100, 950, 1050],
            &[1091, 1092, 1093, 1094, 1095]
        ),
        Verdict::Noise
    );
}

fn run(guest: &str, medians: &[u64]) -> Run {
    Run {
        testbed: Testbed {
            guest: guest.into(),
            when: medians.iter().sum(),
            ..Testbed::default()
        },
        kept: vec![kept(medians)],
    }
}

#[test]
fn a_kernel_that_differs_from_itself_by_as_much_is_noise() {
    let before = run("a", &[1000, 1001, 1002, 1001, 1000]);
    let after = run("b", &[1050, 1051, 1052, 1051, 1050]);
    let verdict = |history: &[Run]| runs(&before, &after, history)[0].verdict;
    assert_eq!(verdict(&[]), Verdict::Slower);
    let other_kernel = run("c", &[1100; 5]);
    assert_eq!(verdict(&[other_kernel]), Verdict::Slower);
    assert_eq!(verdict(&[run("a", &[1060; 5])]), Verdict::Noise);
}

#[test]
fn what_takes_longer_twice_is_slower_and_what_does_once_is_noise() {
    let before = run("a", &[1000, 1001, 1002, 1001, 1000]);
    let after = run("b", &[1050, 1051, 1052, 1051, 1050]);
    // Another run of the old kernel says nothing of the new one's noise.
    let history = [run("a", &[995, 996, 995, 996, 995])];
    let verdict = |again: &[u64]| {
        let again = |name: &str| {
            assert_eq!(name, "x");
            Ok::<_, ()>((before.kept[0].clone(), kept(again)))
        };
        twice(&before, &after, &history, again).unwrap()[0].verdict
    };
    assert_eq!(verdict(&after.kept[0].medians), Verdict::Slower);
    assert_eq!(verdict(&before.kept[0].medians), Verdict::Noise);
    assert_eq!(verdict(&[]), Verdict::Noise);
    let same = |_: &str| -> Result<(Kept, Kept), ()> { panic!("nothing takes longer") };
    assert_eq!(twice(&before, &before, &history, same).unwrap().len(), 1);
    assert_eq!(
        twice(&before, &after, &history, |_| Err("the host is gone")),
        Err("the host is gone")
    );
}

#[test]
fn a_handful_of_machines_can_tell_and_fewer_cannot() {
    for (then, now, can) in [
        (3, 3, false),
        (1, 5, false),
        (4, 4, true),
        (3, 4, false),
        (3, 5, true),
    ] {
        assert_eq!(can_tell(then, now), can, "{then} and {now}");
    }
}

#[test]
fn one_disturbed_machine_hides_no_regression() {
    let then = [1000, 1001, 1002, 1000, 1001];
    let now = [1098, 1101, 1103, 1099, 1100];
    for off in [1250, 1600, 9000] {
        for place in 0..5 {
            let with = |of: &[u64; 5]| {
                let mut of = *of;
                of[place] = off;
                of
            };
            assert_eq!(verdict(&with(&then), &now), Verdict::Slower, "{off} then");
            assert_eq!(verdict(&then, &with(&now)), Verdict::Slower, "{off} now");
            assert_eq!(verdict(&with(&now), &then), Verdict::Faster, "{off} then");
            assert_ne!(verdict(&then, &with(&then)), Verdict::Slower);
        }
    }
    // A B B A, with one in A.
    assert_eq!(
        verdict(
            &[1000, 1001, 1002, 1000, 1001, 1600],
            &[1098, 1101, 1103, 1099, 1100, 1100]
        ),
        Verdict::Slower
    );
}

#[test]
fn a_busy_run_another_tool_and_too_few_machines_raise_no_noise() {
    let before = run("a", &[1000, 1001, 1002, 1001, 1000]);
    let after = run("b", &[1050, 1051, 1052, 1051, 1050]);
    let verdict = |history: &[Run]| runs(&before, &after, history)[0].verdict;
    let quiet = [run("b", &[1049; 5]), run("b", &[1053; 5])];
    let busy = run("b", &[1400; 5]);
    assert_eq!(verdict(&[&quiet[..], &[busy]].concat()), Verdict::Slower);
    assert_eq!(verdict(&[run("b", &[1400])]), Verdict::Slower);
    let mut other_tool = run("b", &[1000, 1001, 1002, 1001, 1002]);
    other_tool.testbed.tool = "another".into();
    assert_eq!(verdict(&[other_tool]), Verdict::Slower);
}

#[test]
fn what_the_host_moved_by_is_noise_and_no_regression() {
    let run = |host: u64, ours: u64| {
        let kept = |name: &str, ticks: u64| Kept {
            name: name.into(),
            ..kept(&[ticks, ticks + 1, ticks + 2, ticks + 1, ticks])
        };
        Run {
            kept: vec![kept(suite::FLOOR, host), kept("x", ours)],
            ..Run::default()
        }
    };
    let verdicts = |now: &Run| {
        let compared = runs(&run(1000, 1000), now, &[]);
        (compared[0].verdict, compared[1].verdict, of_host(&compared))
    };
    assert_eq!(
        verdicts(&run(1000, 1100)),
        (Verdict::Same, Verdict::Slower, None)
    );
    assert_eq!(
        verdicts(&run(1110, 1100)),
        (Verdict::Host, Verdict::Noise, Some(109))
    );
    assert_eq!(verdicts(&run(1110, 1200)).1, Verdict::Slower);
    assert_eq!(verdicts(&run(900, 1000)).0, Verdict::Host);
}
