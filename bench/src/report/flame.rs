//! Folded stacks as a picture: how wide a function is, so much it cost.
//!
//! Purpose: a flame graph as one SVG file that needs nothing else: boxes stand
//! on what called them, sorted by name, and tell their count when pointed at.
//! Neighbours: `mayfly trace --flamegraph` has the stacks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::grouped;
use super::html::escaped;

const WIDTH: f64 = 1200.0;
/// Room around the picture, and above it for the title.
const MARGIN: f64 = 10.0;
const TITLE: f64 = 44.0;
/// Height of a box, the gap to the next one included.
const ROW: f64 = 18.0;
/// Width of a letter.
const LETTER: f64 = 6.7;
/// Boxes that are narrower are left out: nobody could see them.
const NARROWEST: f64 = 0.2;
const STYLE: &str = "text{font:11px ui-monospace,monospace;fill:#222}\
    .title{font-size:15px}.note{fill:#666}g:hover rect{stroke:#222;stroke-width:1.2}";

/// A function with what it called.
#[derive(Default)]
struct Node {
    count: u64,
    called: BTreeMap<String, Node>,
}

/// Draws stacks: names from the outermost to the innermost with `;` between
/// them, a space, and a count.
pub fn graph(title: &str, folded: &[String]) -> String {
    let mut root = Node::default();
    for line in folded {
        let Some((stack, count)) = line.rsplit_once(' ') else {
            continue;
        };
        let count = count.parse().unwrap_or(0);
        root.count += count;
        let mut node = &mut root;
        for name in stack.split(';') {
            node = node.called.entry(name.into()).or_default();
            node.count += count;
        }
    }
    let height = TITLE + rows(depth(&root)) + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\"><style>{STYLE}</style>\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"22\">{}</text>\
         <text class=\"note\" x=\"{MARGIN}\" y=\"38\">{} kernel instructions, counted exactly; \
         a box is as wide as its count; point at one to read it</text>\n",
        escaped(title),
        grouped(root.count)
    );
    let drawing = Drawing {
        total: root.count.max(1),
        bottom: height - MARGIN,
    };
    drawing.called(&root, 0, 0, &mut svg);
    svg.push_str("</svg>\n");
    svg
}

/// Functions above each other.
fn depth(node: &Node) -> usize {
    let called = node.called.values().map(|it| 1 + depth(it));
    called.max().unwrap_or(0)
}

/// Height of so many boxes.
#[expect(clippy::cast_precision_loss, reason = "a stack is not that deep")]
fn rows(count: usize) -> f64 {
    count as f64 * ROW
}

struct Drawing {
    total: u64,
    bottom: f64,
}

impl Drawing {
    /// Draws what a function called, the first of it `before` instructions from
    /// the left, and `level` boxes from the bottom.
    fn called(&self, node: &Node, mut before: u64, level: usize, svg: &mut String) {
        for (name, called) in &node.called {
            self.draw(name, called, before, level, svg);
            before += called.count;
        }
    }

    fn draw(&self, name: &str, node: &Node, before: u64, level: usize, svg: &mut String) {
        let width = self.width(node.count);
        if width < NARROWEST {
            return;
        }
        let (x, y) = (MARGIN + self.width(before), self.bottom - rows(level + 1));
        let short = short(name);
        let permille = node.count * 1000 / self.total;
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<g><title>{}\n{} instructions, {}.{} %</title>\
             <rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" rx=\"1.5\" fill=\"{}\"/>{}</g>",
            escaped(name),
            grouped(node.count),
            permille / 10,
            permille % 10,
            ROW - 1.0,
            colour(&short),
            label(&short, x, y, width)
        );
        self.called(node, before, level + 1, svg);
    }

    #[expect(clippy::cast_precision_loss, reason = "a picture is not that fine")]
    fn width(&self, count: u64) -> f64 {
        (WIDTH - 2.0 * MARGIN) * count as f64 / self.total as f64
    }
}

/// As much of a name as fits into a box; nothing, if that says nothing.
fn label(name: &str, x: f64, y: f64, width: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of letters"
    )]
    let room = ((width - 6.0) / LETTER).max(0.0) as usize;
    let length = name.chars().count();
    if room < 3 {
        return String::new();
    }
    let text = match length <= room {
        true => name.into(),
        false => name.chars().take(room - 2).collect::<String>() + "..",
    };
    format!(
        "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        x + 3.0,
        y + 12.5,
        escaped(&text)
    )
}

/// A name without what it is generic over.
pub fn short(name: &str) -> String {
    let (mut text, mut depth) = (String::new(), 0_u32);
    for (index, letter) in name.char_indices() {
        match letter {
            // An implementation's name begins with one.
            '<' if index > 0 => depth += 1,
            '>' if depth > 0 => depth -= 1,
            letter if depth == 0 => text.push(letter),
            _ => {}
        }
    }
    text
}

/// A warm colour that is always the same for a name.
fn colour(name: &str) -> String {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let hash = name.bytes().fold(2_166_136_261, mix);
    let (hue, light) = (12 + hash % 44, 66 + (hash >> 8) % 14);
    format!("hsl({hue} 85% {light}%)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_as_wide_as_its_count_and_stands_on_its_caller() {
        let folded = ["a;OPEN;f<T>;g 30", "a;OPEN;f<T> 10", "a;CLOSE;h 40"].map(String::from);
        let svg = graph("a & b", &folded);
        assert!(
            svg.contains(">a &amp; b<") && svg.contains("80 kernel instructions"),
            "{svg}"
        );
        assert!(
            svg.contains("<title>f&lt;T&gt;\n40 instructions, 50.0 %</title>"),
            "{svg}"
        );
        let place = |name: &str| {
            let at = svg.find(&format!("<title>{name}\n")).unwrap();
            let number = |key: &str| -> f64 {
                let rest = &svg[at..];
                let rest = &rest[rest.find(key).unwrap() + key.len()..];
                rest.split('"').next().unwrap().parse().unwrap()
            };
            (number(" x=\""), number(" y=\""), number(" width=\""))
        };
        let (a, open, close, g) = (place("a"), place("OPEN"), place("CLOSE"), place("g"));
        assert_eq!((a.0, a.2), (10.0, 1180.0));
        assert_eq!((open.2, close.2), (590.0, 590.0));
        // By name: CLOSE is the left one, and g stands on OPEN's f.
        assert_eq!((close.0, open.0, g.0), (10.0, 600.0, 600.0));
        assert!(a.1 > open.1 && open.1 > g.1);
        assert_eq!(g.2, 442.5);
    }

    #[test]
    fn nothing_is_a_picture_too_and_names_are_short() {
        assert!(graph("x", &[]).ends_with("</svg>\n"));
        assert_eq!(short("find<a::B, C<&[u8]>>"), "find");
        assert_eq!(short("<A as B<C>>::d"), "<A as B>::d");
        assert_eq!(label("open", 0.0, 0.0, 12.0), "");
    }
}
