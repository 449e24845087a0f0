//! Plots, as SVG that a page can contain.

use std::fmt::Write as _;

use super::grouped;

const WIDTH: u64 = 320;
const HEIGHT: u64 = 90;
/// Room below for the labels.
const LABELS: u64 = 14;
/// Bars of a distribution.
const BARS: u64 = 48;

/// How often which time was measured; what lies beyond the 99th percentile
/// shares the last bar, so that one outlier does not squeeze the rest.
pub(super) fn distribution(buckets: &[(u64, u64)]) -> String {
    // Counts of a file that somebody wrote may be of any size.
    let total: u128 = buckets.iter().map(|(_, count)| u128::from(*count)).sum();
    let low = buckets.first().map_or(0, |(ticks, _)| *ticks);
    let mut seen = 0_u128;
    let most = buckets.iter().find(|(_, count)| {
        seen += u128::from(*count);
        seen * 100 >= total * 99
    });
    let high = most
        .map_or(low, |(ticks, _)| *ticks)
        .max(low.saturating_add(1));
    let mut bars = vec![0_u128; usize::try_from(BARS).unwrap_or(1)];
    for (ticks, count) in buckets {
        let beyond = u128::from(ticks.saturating_sub(low)) * u128::from(BARS - 1);
        let at = beyond / u128::from((high - low).max(1));
        let at = usize::try_from(at.min(u128::from(BARS - 1))).unwrap_or(0);
        if let Some(bar) = bars.get_mut(at) {
            *bar += u128::from(*count);
        }
    }
    let tallest = bars.iter().copied().max().unwrap_or(1).max(1);
    let mut svg = open();
    let width = WIDTH / BARS;
    for (index, count) in (0_u64..).zip(&bars).filter(|(_, count)| **count > 0) {
        let height = count * u128::from(HEIGHT - 4) / tallest;
        let height = u64::try_from(height).unwrap_or(HEIGHT).max(1);
        // Writing to a string does not fail.
        let _ = write!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{height}\"/>",
            index * width,
            HEIGHT - height,
            width - 1
        );
    }
    close(svg, &grouped(low), &grouped(high))
}

/// Counts of one run after the other.
pub(super) fn history(counts: &[u64]) -> String {
    let low = counts.iter().copied().min().unwrap_or(0);
    let high = counts.iter().copied().max().unwrap_or(0);
    let last = (counts.len() as u64).saturating_sub(1).max(1);
    let points: Vec<(u64, u64)> = (0_u64..)
        .zip(counts)
        .map(|(index, count)| {
            let y = match high - low {
                0 => HEIGHT / 2,
                range => {
                    let part = u128::from(count - low) * u128::from(HEIGHT - 12);
                    let part = part / u128::from(range);
                    HEIGHT - 6 - u64::try_from(part).unwrap_or(0)
                }
            };
            (6 + index * (WIDTH - 12) / last, y)
        })
        .collect();
    let mut svg = open();
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let _ = write!(svg, "<polyline points=\"{}\"/>", line.join(" "));
    for (x, y) in points {
        let _ = write!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"2.5\"/>");
    }
    close(svg, &grouped(low), &grouped(high))
}

fn open() -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\">",
        HEIGHT + LABELS
    )
}

/// With the least and the most as labels.
fn close(svg: String, low: &str, high: &str) -> String {
    let y = HEIGHT + LABELS - 3;
    format!(
        "{svg}<text x=\"0\" y=\"{y}\">{low}</text>\
         <text x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\">{high}</text></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_does_not_squeeze_the_rest() {
        let buckets = [(100, 500), (110, 490), (1_000_000, 1)];
        let svg = distribution(&buckets);
        assert!(svg.contains(">100<") && svg.contains(">110<"), "{svg}");
        let huge = u64::MAX;
        assert!(distribution(&[(0, huge), (huge, huge)]).contains("<rect"));
        assert!(distribution(&[(huge, 1), (5, huge)]).contains("<rect"));
        assert!(history(&[0, huge]).contains("circle"));
        assert!(distribution(&[]).starts_with("<svg") && history(&[5]).contains("circle"));
    }
}
