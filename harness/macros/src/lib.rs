//! The attribute `#[mayfly::test]`.
//!
//! Purpose: turns `fn name(vm: Vm) -> Result<()>` into an ordinary `#[test]`
//! that boots a microVM of its own, runs the function and, when that fails,
//! prints the report of the machine. The work is in `mayfly::runner`; this
//! crate only reads the attribute. Neighbours: `harness` re-exports it. And
//! `sources` tells the tool what it was built from.

mod sources;

use std::path::Path;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Error, Ident, ItemFn, Lit, Token};

/// Makes a test of a function that takes a microVM; or of one that takes
/// nothing, and makes its machines itself: it is repeated as the others are.
///
/// Keys, all optional: `abi`, `run_timeout`, `setup_timeout`, `memory`,
/// `meter`, `covers`. `mayfly`'s front page describes them.
#[proc_macro_attribute]
pub fn test(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute.into(), item.into())
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Hash of the sources that the tool is made of, as a string of hexadecimal
/// digits; empty where they are not in one workspace. Whatever changes in one of
/// them has whoever says this compiled again, and a commit does not.
#[doc(hidden)]
#[proc_macro]
pub fn built_from(_: TokenStream) -> TokenStream {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map(|it| Path::new(&it).join(".."));
    let files = root.as_deref().and_then(|root| sources::files(root).ok());
    let hash = root.as_deref().and_then(|root| sources::hash(root).ok());
    let paths = files.iter().flatten().zip(root.iter().cycle());
    let paths = paths.map(|(file, root)| root.join(file).display().to_string());
    let hash = hash.map_or_else(String::new, |hash| format!("{hash:016x}"));
    quote!({
        #(const _: &[u8] = include_bytes!(#paths);)*
        #hash
    })
    .into()
}

/// One `key = literal`, or a bare `key`.
struct Setting {
    key: Ident,
    value: Option<Lit>,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.parse()?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Self { key, value })
    }
}

fn expand(attribute: Tokens, item: Tokens) -> syn::Result<Tokens> {
    let settings = syn::parse::Parser::parse2(
        Punctuated::<Setting, Token![,]>::parse_terminated,
        attribute,
    )?;
    let function: ItemFn = syn::parse2(item)?;
    check(&function, &settings)?;
    let options = options(&settings, &function)?;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = &function;
    let name = &sig.ident;
    let inputs = &sig.inputs;
    let output = &sig.output;
    let body = format_ident!("body");
    if inputs.is_empty() {
        // It makes its machines itself.
        return Ok(quote! {
            #[::core::prelude::v1::test]
            #(#attrs)*
            #vis fn #name() {
                fn #body() #output #block
                ::mayfly::runner::repeat(
                    ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                    #body,
                );
            }
        });
    }
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis fn #name() {
            fn #body(#inputs) #output #block
            ::mayfly::runner::run(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                ::mayfly::VmOptions { #(#options)* ..::core::default::Default::default() },
                #body,
            );
        }
    })
}

fn check(function: &ItemFn, settings: &Punctuated<Setting, Token![,]>) -> syn::Result<()> {
    let signature = &function.sig;
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new(
            asyncness.span(),
            "a microVM test cannot be async",
        ));
    }
    if signature.inputs.len() > 1 {
        return Err(Error::new(
            signature.ident.span(),
            "a microVM test takes one argument: `fn name(vm: Vm)`; or none, if it makes its machines",
        ));
    }
    let about_machine = settings.iter().find(|it| it.key != "covers");
    if let (true, Some(setting)) = (signature.inputs.is_empty(), about_machine) {
        return Err(Error::new(
            setting.key.span(),
            "this is about a machine that is given: `fn name(vm: Vm)`",
        ));
    }
    Ok(())
}

/// Field initialisers of `VmOptions` for the settings given.
fn options(
    settings: &Punctuated<Setting, Token![,]>,
    function: &ItemFn,
) -> syn::Result<Vec<Tokens>> {
    let mut fields = Vec::new();
    let mut metered = mentions(&function.block, "budget");
    for setting in settings {
        let key = &setting.key;
        match key.to_string().as_str() {
            "abi" => {
                let abi = abi(setting)?;
                fields.push(quote!(abi: ::core::option::Option::Some(::mayfly::Abi::#abi),));
            }
            "run_timeout" | "setup_timeout" => {
                let milliseconds = duration_ms(setting)?;
                fields.push(quote!(#key: ::core::time::Duration::from_millis(#milliseconds),));
            }
            "memory" => {
                let bytes = size_bytes(setting)?;
                fields.push(quote!(memory_bytes: #bytes,));
            }
            "meter" => metered = flag(setting)?,
            "covers" => drop(text(setting)?),
            _ => {
                return Err(Error::new(
                    key.span(),
                    "unknown key; known: abi, run_timeout, setup_timeout, memory, meter, covers",
                ));
            }
        }
    }
    fields.push(quote!(meter: #metered,));
    // The build script of the package that the test is in sets it, if any does.
    fields.push(quote! {
        programs: ::core::option::Option::map(
            ::core::option_env!("MAYFLY_PROGRAMS"),
            ::core::convert::Into::into,
        ),
    });
    Ok(fields)
}

/// Whether the body uses the macro `name!`: a test with a budget is metered
/// without being asked.
fn mentions(block: &syn::Block, name: &str) -> bool {
    fn search(tokens: Tokens, name: &str) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => ident == name,
            proc_macro2::TokenTree::Group(group) => search(group.stream(), name),
            _ => false,
        })
    }
    search(quote!(#block), name)
}

fn abi(setting: &Setting) -> syn::Result<Ident> {
    let span = setting.key.span();
    match text(setting)?.as_str() {
        "xeneva" => Ok(Ident::new("Xeneva", span)),
        "patchwork" => Ok(Ident::new("Patchwork", span)),
        "veridian" => Ok(Ident::new("Veridian", span)),
        other => Err(Error::new(
            setting.value.span(),
            format!("no interface is named {other:?}; known: xeneva, patchwork, veridian"),
        )),
    }
}

fn duration_ms(setting: &Setting) -> syn::Result<u64> {
    number_with_unit(
        setting,
        &[("ms", 1), ("s", 1000), ("m", 60_000)],
        "\"2s\" or \"500ms\"",
    )
}

fn size_bytes(setting: &Setting) -> syn::Result<u64> {
    number_with_unit(
        setting,
        &[("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)],
        "\"16M\"",
    )
}

/// A decimal number followed by one of `units`, as the number of ones.
fn number_with_unit(setting: &Setting, units: &[(&str, u64)], like: &str) -> syn::Result<u64> {
    let text = text(setting)?;
    units
        .iter()
        .find_map(|(unit, ones)| {
            let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            number.checked_mul(*ones)
        })
        .ok_or_else(|| {
            Error::new(
                setting.value.span(),
                format!("expected a number with a unit, such as {like}, not {text:?}"),
            )
        })
}

fn text(setting: &Setting) -> syn::Result<String> {
    match &setting.value {
        Some(Lit::Str(text)) => Ok(text.value()),
        _ => Err(Error::new(
            setting.key.span(),
            "this key needs a string: key = \"...\"",
        )),
    }
}

fn flag(setting: &Setting) -> syn::Result<bool> {
    match &setting.value {
        None => Ok(true),
        Some(Lit::Bool(flag)) => Ok(flag.value),
        Some(other) => Err(Error::new(other.span(), "expected true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn expanded(attribute: &str, item: &str) -> syn::Result<String> {
        let attribute = attribute.parse().expect("tokens");
        let item = item.parse().expect("tokens");
        expand(attribute, item).map(|tokens| tokens.to_string())
    }

    #[test]
    fn settings_become_options() {
        let code = expanded(
            r#"abi = "veridian", run_timeout = "2s", memory = "16M", covers = "x""#,
            "fn f(vm: Vm) {}",
        )
        .expect("valid");
        assert!(code.contains(":: mayfly :: Abi :: Veridian"), "{code}");
        assert!(code.contains("from_millis (2000u64)"), "{code}");
        assert!(code.contains("memory_bytes : 16777216u64"), "{code}");
        assert!(code.contains("meter : false"), "{code}");
    }

    #[test]
    fn a_test_with_a_budget_is_metered() {
        let code = expanded("", "fn f(vm: Vm) { budget!(r, kernel_instr <= 4); }").expect("valid");
        assert!(code.contains("meter : true"), "{code}");
    }

    #[test]
    fn a_test_without_a_machine_is_repeated_too() {
        let code = expanded("covers = \"x\"", "fn f() {}").expect("valid");
        assert!(code.contains("runner :: repeat"), "{code}");
    }

    #[test]
    fn mistakes_are_named() {
        for (attribute, item, message) in [
            ("", "fn f(a: Vm, b: Vm) {}", "takes one argument"),
            ("memory = \"1M\"", "fn f() {}", "a machine that is given"),
            ("", "async fn f(vm: Vm) {}", "cannot be async"),
            ("abi = \"linux\"", "fn f(vm: Vm) {}", "known: xeneva"),
            ("run_timeout = \"soon\"", "fn f(vm: Vm) {}", "\"2s\""),
            ("memory = 16", "fn f(vm: Vm) {}", "needs a string"),
            ("colour = \"red\"", "fn f(vm: Vm) {}", "unknown key"),
        ] {
            let error = expanded(attribute, item).expect_err(message).to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
