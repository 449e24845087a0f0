//! Capability calls of VeridianOS (`specs/veridian.md` §4, §5).
//!
//! Purpose: create, derive, validate and revoke, each error of each, and what
//! they cost. Neighbours: `tokens.rs` finds the tokens that a probe starts with.

use mayfly::prelude::*;

use crate::tokens::{self, kind, right};

/// Makes a call that gives a token.
fn token(probe: &Probe<'_>, number: u64, arguments: Vec<Arg>) -> Result<u64> {
    let call = probe.call(number, arguments)?;
    Ok(call.result.expect("the call gives a token"))
}

#[mayfly::test(
    covers = "veridian CAPABILITY_VALIDATE, veridian CAPABILITY_VALIDATE InvalidParameter, veridian CAPABILITY_VALIDATE InvalidCapability, veridian CAPABILITY_VALIDATE PermissionDenied"
)]
fn a_validation_says_what_is_missing(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let console = tokens::console(&probe)?;
    for (token, rights, expected) in [
        (console, right::READ | right::WRITE, Ok(0)),
        (console, 0, Ok(0)),
        (console, right::EXECUTE, Err("PermissionDenied")),
        (console, 0x100, Err("InvalidParameter")),
        (0, 1 << 32, Err("InvalidParameter")),
        (0, 0, Err("InvalidCapability")),
        (console ^ 1 << 16, 0, Err("InvalidCapability")),
        (console | 1 << 63, 0, Err("InvalidCapability")),
    ] {
        let call = probe.call(veridian::CAPABILITY_VALIDATE, args![token, rights])?;
        assert_eq!(call.result, expected, "{token:#x} {rights:#x}");
    }
    Ok(())
}

#[mayfly::test]
fn a_validation_is_within_its_budget(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let console = tokens::console(&probe)?;
    let call = probe.call(veridian::CAPABILITY_VALIDATE, args![console, right::READ])?;
    assert_eq!(call.result, Ok(0));
    budget!(call, kernel_instr <= 96);
    Ok(())
}

#[mayfly::test]
fn tokens_are_made_and_taken_within_their_budgets(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let (console, space) = (tokens::console(&probe)?, tokens::space(&probe)?);
    let rights = right::WRITE | right::REVOKE;
    let derive = |parent| probe.call(veridian::CAPABILITY_DERIVE, args![parent, rights]);
    let revoke = |token| probe.call(veridian::CAPABILITY_REVOKE, args![token]);
    // Tables that grow now and then are not what is measured.
    for _ in 0..9 {
        derive(console)?;
    }
    let derived = derive(console)?;
    let (root, minted) = (derived.value, args![kind::DEVICE, 1, right::READ, space]);
    let minted = probe.call(veridian::CAPABILITY_CREATE, minted)?;
    let leaf = revoke(root)?;
    budget!(derived, kernel_instr <= 300);
    budget!(minted, kernel_instr <= 380);
    budget!(leaf, kernel_instr <= 300);
    // Three below each of four, and those below one: seventeen in all.
    let root = derive(console)?.value;
    for _ in 0..4 {
        let branch = derive(root)?.value;
        for _ in 0..3 {
            derive(branch)?;
        }
    }
    let tree = revoke(root)?;
    let below = CallResult {
        kernel_instr: tree
            .kernel_instr
            .zip(leaf.kernel_instr)
            .map(|(all, one)| (all - one) / 16),
        ..tree
    };
    budget!(below, kernel_instr <= 190);
    Ok(())
}

#[mayfly::test(
    covers = "veridian CAPABILITY_DERIVE, veridian CAPABILITY_DERIVE InvalidParameter, veridian CAPABILITY_DERIVE InvalidCapability, veridian CAPABILITY_DERIVE PermissionDenied"
)]
fn a_derivation_gives_no_right_that_was_not_there(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let console = tokens::console(&probe)?;
    let derived = token(
        &probe,
        veridian::CAPABILITY_DERIVE,
        args![console, right::WRITE],
    )?;
    let written = probe.call(veridian::WRITE, args![derived, input("x"), 1, 0])?;
    assert_eq!(written.result, Ok(1));
    for (token, rights, error) in [
        (derived, right::READ, "PermissionDenied"),
        (console, right::EXECUTE, "PermissionDenied"),
        (console, 0x100, "InvalidParameter"),
        (0, u64::MAX, "InvalidParameter"),
        (0, 0, "InvalidCapability"),
    ] {
        let call = probe.call(veridian::CAPABILITY_DERIVE, args![token, rights])?;
        assert_eq!(call.result, Err(error), "{token:#x} {rights:#x}");
    }
    let nothing = token(&probe, veridian::CAPABILITY_DERIVE, args![derived, 0])?;
    let written = probe.call(veridian::WRITE, args![nothing, input("x"), 1, 0])?;
    assert_eq!(written.result, Err("PermissionDenied"));
    Ok(())
}

#[mayfly::test(
    covers = "veridian CAPABILITY_DERIVE ResourceExhausted, veridian CAPABILITY_CREATE ResourceExhausted"
)]
fn a_process_holds_1024_tokens(vm: Vm) -> Result<()> {
    let out = program(&vm, &["full"])?;
    assert_eq!(out.stdout_text(), "capabilities ok\n", "{:?}", out.cause);
    Ok(())
}

#[mayfly::test(
    covers = "veridian CAPABILITY_REVOKE, veridian CAPABILITY_REVOKE InvalidCapability, veridian CAPABILITY_REVOKE PermissionDenied"
)]
fn a_revocation_takes_the_token_and_all_below(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let console = tokens::console(&probe)?;
    let rights = right::WRITE | right::REVOKE;
    let mut chain = vec![console];
    for above in 0..8 {
        let arguments = args![chain[above], rights];
        chain.push(token(&probe, veridian::CAPABILITY_DERIVE, arguments)?);
    }
    let sibling = token(
        &probe,
        veridian::CAPABILITY_DERIVE,
        args![console, right::WRITE],
    )?;
    let denied = probe.call(veridian::CAPABILITY_REVOKE, args![sibling])?;
    assert_eq!(denied.result, Err("PermissionDenied"));
    let revoked = probe.call(veridian::CAPABILITY_REVOKE, args![chain[1]])?;
    assert_eq!(revoked.result, Ok(0));
    for gone in &chain[1..] {
        let call = probe.call(veridian::CAPABILITY_VALIDATE, args![*gone, 0])?;
        assert_eq!(call.result, Err("InvalidCapability"));
    }
    for alive in [console, sibling] {
        let call = probe.call(veridian::CAPABILITY_VALIDATE, args![alive, right::WRITE])?;
        assert_eq!(call.result, Ok(0));
    }
    for token in [chain[1], 0, u64::MAX] {
        let call = probe.call(veridian::CAPABILITY_REVOKE, args![token])?;
        assert_eq!(call.result, Err("InvalidCapability"));
    }
    Ok(())
}

#[mayfly::test(
    covers = "veridian CAPABILITY_CREATE, veridian CAPABILITY_CREATE InvalidParameter, veridian CAPABILITY_CREATE PermissionDenied, veridian CAPABILITY_CREATE NotFound, veridian CAPABILITY_CREATE InvalidCapability"
)]
fn a_space_mints_what_it_may(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let (space, console) = (tokens::space(&probe)?, tokens::console(&probe)?);
    let process = tokens::process(&probe)?;
    for (kind, object, rights, parent, expected) in [
        (kind::DEVICE, 1, right::WRITE, space, Ok(())),
        (kind::DEVICE, 1, right::WRITE, console, Ok(())),
        (11, 1, 0, space, Err("InvalidParameter")),
        (kind::DEVICE, 1, 0x100, space, Err("InvalidParameter")),
        (kind::DEVICE, 1, right::WRITE, 0, Err("InvalidCapability")),
        (
            kind::DEVICE,
            1,
            right::WRITE,
            process,
            Err("InvalidCapability"),
        ),
        (
            kind::DEVICE,
            1,
            right::CREATE,
            space,
            Err("PermissionDenied"),
        ),
        (
            kind::DEVICE,
            1,
            right::EXECUTE,
            console,
            Err("PermissionDenied"),
        ),
        (kind::DEVICE, 7, right::WRITE, space, Err("NotFound")),
        (kind::DEVICE, 7, right::WRITE, console, Err("NotFound")),
    ] {
        let arguments = args![kind, object, rights, parent];
        let call = probe.call(veridian::CAPABILITY_CREATE, arguments)?;
        let found = call.result.map(|_| ());
        assert_eq!(found, expected, "{kind} {object} {rights:#x} {parent:#x}");
    }
    let minted = args![kind::DEVICE, 1, right::WRITE, space];
    let minted = token(&probe, veridian::CAPABILITY_CREATE, minted)?;
    let written = probe.call(veridian::WRITE, args![minted, input("minted"), 6, 0])?;
    assert_eq!(
        (written.result, probe.stdout_so_far()),
        (Ok(6), b"minted".to_vec())
    );
    Ok(())
}

#[mayfly::test]
fn tokens_of_one_probe_are_none_of_another(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Veridian)?, vm.probe(Abi::Veridian)?);
    let grant = right::GRANT;
    for token in [
        tokens::console(&one)?,
        tokens::space(&one)?,
        tokens::process(&one)?,
    ] {
        for rights in [0, grant] {
            let call = other.call(veridian::CAPABILITY_VALIDATE, args![token, rights])?;
            assert_eq!(call.result, Err("InvalidCapability"), "{token:#x}");
        }
    }
    Ok(())
}

fn program(vm: &Vm, arguments: &[&str]) -> Result<Output> {
    vm.spawn("veridian-capabilities")
        .args(arguments.iter().copied())
        .trace(false)
        .run()
}

#[mayfly::test]
fn t08_every_set_of_rights_is_derived_and_validated(vm: Vm) -> Result<()> {
    let out = program(&vm, &["rights"])?;
    assert_eq!(out.stdout_text(), "capabilities ok\n", "{:?}", out.cause);
    Ok(())
}

#[mayfly::test]
fn t10_a_thousand_revocations_never_bring_an_old_token_back(vm: Vm) -> Result<()> {
    let out = program(&vm, &["reuse", "1000"])?;
    assert_eq!(out.stdout_text(), "capabilities ok\n", "{:?}", out.cause);
    Ok(())
}

#[mayfly::test(run_timeout = "10m")]
fn guessed_tokens_reach_nothing(vm: Vm) -> Result<()> {
    let guesses = mayfly::rounds(&vm, 2000, 1_000_000).to_string();
    let out = program(&vm, &["guess", "20260821", &guesses])?;
    let expected = "seed 20260821\ncapabilities ok\n";
    assert_eq!(out.stdout_text(), expected, "{:?}", out.cause);
    Ok(())
}
