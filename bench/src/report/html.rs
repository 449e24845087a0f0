//! One page with everything: tables that sort, distributions, history, what grew.
//!
//! Purpose: a file that opens without a network and without other files; plots
//! are drawn here, as SVG. Neighbours: `page.html` is the frame, `plot` draws.

use std::fmt::Write as _;

use super::{grouped, plot};
use crate::baseline::Change;
use crate::compare::Compared;
use crate::run::Run;

const PAGE: &str = include_str!("page.html");

/// What a page is made of.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// The run that it is about.
    pub run: &'a Run,
    /// Runs before it, the oldest first.
    pub history: &'a [Run],
    /// How its counts differ from what was agreed on.
    pub changes: &'a [Change],
    /// How its times differ from another run's.
    pub compared: &'a [Compared],
}

/// The page.
pub fn page(contents: &Contents<'_>) -> String {
    let mut body = String::new();
    let testbed = &contents.run.testbed;
    // Writing to a string does not fail.
    let _ = writeln!(
        body,
        "<p class=where>{} &middot; guest {} {}</p>",
        escaped(&testbed.host),
        escaped(&testbed.guest),
        escaped(&testbed.revision)
    );
    if testbed.emulated {
        body += "<p class=care>Ring 0 is emulated on this host: its times are not those of hardware. \
                 Kernel instructions are the same everywhere.</p>\n";
    }
    if !contents.changes.is_empty() {
        changes(contents.changes, &mut body);
    }
    if !contents.compared.is_empty() {
        compared(contents.compared, &mut body);
    }
    figures(contents.run, &mut body);
    body += "<h2>Distribution of times, in ticks</h2>\n<div class=plots>\n";
    for kept in contents.run.kept.iter().filter(|it| !it.buckets.is_empty()) {
        let plot = plot::distribution(&kept.buckets);
        let _ = writeln!(
            body,
            "<figure>{plot}<figcaption>{}</figcaption></figure>",
            escaped(&kept.name)
        );
    }
    body += "</div>\n";
    if !contents.history.is_empty() {
        history(contents, &mut body);
    }
    PAGE.replace("@BODY@", &body)
}

fn figures(run: &Run, body: &mut String) {
    body.push_str(
        "<h2>Figures</h2>\n<table id=figures><thead><tr><th>benchmark<th>kernel instructions\
         <th>ticks min<th>p50<th>p90<th>p99<th>max</thead><tbody>\n",
    );
    for kept in &run.kept {
        let _ = write!(
            body,
            "<tr><td>{}{}",
            escaped(&kept.name),
            number(kept.instructions)
        );
        for share in [0.0, 0.5, 0.9, 0.99, 1.0] {
            *body += &number(kept.quantile(share));
        }
        body.push('\n');
    }
    body.push_str("</tbody></table>\n");
}

fn changes(changes: &[Change], body: &mut String) {
    body.push_str(
        "<h2>What grew</h2>\n<table id=changes><thead><tr><th>benchmark<th>was<th>is<th>by\
         <th>function<th>where</thead><tbody>\n",
    );
    for change in changes {
        let by = i128::from(change.after.unwrap_or(0)) - i128::from(change.before.unwrap_or(0));
        let row = format!(
            "<tr><td>{}{}{}",
            escaped(&change.name),
            number(change.before),
            number(change.after)
        );
        let _ = writeln!(body, "{row}{}<td class=left>all<td>", signed(by));
        for grew in &change.functions {
            let it = &grew.function;
            let _ = writeln!(
                body,
                "{row}{}<td class=left>{}<td class=left>{}",
                signed(grew.by.into()),
                escaped(&it.name),
                escaped(&it.place())
            );
        }
    }
    body.push_str("</tbody></table>\n");
}

fn compared(compared: &[Compared], body: &mut String) {
    body.push_str(
        "<h2>Times, compared</h2>\n<table id=compared><thead><tr><th>benchmark<th>then<th>now\
         <th>&permil;<th>95 %, from<th>to<th>noise &permil;<th>chance<th>verdict</thead><tbody>\n",
    );
    for it in compared {
        let _ = writeln!(
            body,
            "<tr><td>{}{}{}{}{}{}{}<td data-n={:.4}>{:.4}<td>{}",
            escaped(&it.name),
            number(Some(it.medians.0)),
            number(Some(it.medians.1)),
            signed(it.change.into()),
            signed(it.interval.0.into()),
            signed(it.interval.1.into()),
            number(Some(it.noise)),
            it.chance,
            it.chance,
            it.verdict.word()
        );
    }
    body.push_str("</tbody></table>\n");
}

fn history(contents: &Contents<'_>, body: &mut String) {
    body.push_str("<h2>Kernel instructions over saved runs</h2>\n<div class=plots>\n");
    for kept in &contents.run.kept {
        let runs = contents.history.iter().chain([contents.run]);
        let counts = runs.filter_map(|run| run.find(&kept.name)?.instructions);
        let counts: Vec<u64> = counts.collect();
        if counts.len() > 1 {
            let _ = writeln!(
                body,
                "<figure>{}<figcaption>{}</figcaption></figure>",
                plot::history(&counts),
                escaped(&kept.name)
            );
        }
    }
    body.push_str("</div>\n");
}

/// A cell with a number, which sorts as one.
fn number(number: Option<u64>) -> String {
    match number {
        Some(number) => format!("<td data-n={number}>{}", grouped(number)),
        None => "<td data-n=-1>n/a".into(),
    }
}

fn signed(by: i128) -> String {
    let class = if by > 0 { "up" } else { "down" };
    format!("<td data-n={by} class={class}>{by:+}")
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Verdict;
    use crate::run::{Kept, Testbed};

    #[test]
    fn a_page_needs_nothing_from_elsewhere_and_shows_everything() {
        let kept = |count| Kept {
            name: "patchwork/x<y>".into(),
            instructions: Some(count),
            medians: vec![10],
            cold: vec![12],
            buckets: vec![(9, 3), (12, 1)],
            ..Kept::default()
        };
        let run = |count| Run {
            testbed: Testbed {
                emulated: true,
                ..Testbed::default()
            },
            kept: vec![kept(count)],
        };
        let change = Change {
            name: "a".into(),
            before: Some(1),
            after: Some(1000),
            functions: vec![],
        };
        let compared = Compared {
            name: "b".into(),
            medians: (1000, 1050),
            change: 50,
            interval: (41, 63),
            noise: 20,
            chance: 0.0079,
            verdict: Verdict::Slower,
        };
        let (now, history, changes) = (run(1064), [run(1050), run(1060)], [change]);
        let page = page(&Contents {
            run: &now,
            history: &history,
            changes: &changes,
            compared: &[compared],
        });
        assert!(!page.contains("http") && !page.contains("src=") && !page.contains("@BODY@"));
        assert!(
            page.contains("x&lt;y&gt;") && page.contains("data-n=1064>1,064"),
            "{page}"
        );
        assert!(page.contains("not those of hardware") && page.contains(">+999"));
        assert!(
            page.contains(">+41<td") && page.contains(">+63<td"),
            "{page}"
        );
        assert_eq!(page.matches("<svg").count(), 2);
    }
}
