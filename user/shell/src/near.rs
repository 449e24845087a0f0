//! What somebody meant who misspelt a name.

use alloc::vec::Vec;

/// Most slips that still make a name near, and in a word of few letters.
const SLIPS: usize = 2;
const SLIPS_OF_FEW: usize = 1;
const FEW: usize = 4;

/// The name that is nearest, if one is near.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let with_distance = names.map(|name| (distance(word, name), name));
    let (slips, name) = with_distance.min_by_key(|(slips, _)| *slips)?;
    let letters = word.chars().count();
    let most = if letters <= FEW { SLIPS_OF_FEW } else { SLIPS };
    (slips <= most && slips < letters).then_some(name)
}

/// Characters to add, drop, change, or swap with their neighbour.
pub fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut line = Vec::from([row + 1]);
        for (column, b) in to.iter().enumerate() {
            let changed = above[column] + usize::from(a != b);
            let mut least = changed.min(above[column + 1] + 1).min(line[column] + 1);
            if row > 0 && column > 0 && *a == to[column - 1] && from[row - 1] == *b {
                least = least.min(before[column - 1] + 1);
            }
            line.push(least);
        }
        before = core::mem::replace(&mut above, line);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (from, to, slips) in [
            ("", "", 0),
            ("cat", "cat", 0),
            ("cta", "cat", 1),
            ("hlelo", "hello", 1),
            ("helo", "hello", 1),
            ("ls", "cd", 2),
            ("", "abc", 3),
        ] {
            assert_eq!(distance(from, to), slips, "{from} {to}");
        }
        let names = ["patchwork-hello", "xeneva-hello", "ls"];
        assert_eq!(nearest("patchwork-helo", names.into_iter()), Some(names[0]));
        assert_eq!(nearest("xy", names.into_iter()), None);
        assert_eq!(nearest("sl", names.into_iter()), Some("ls"));
        assert_eq!(nearest("true", ["time"].into_iter()), None);
        assert_eq!(nearest("trime", ["time"].into_iter()), Some("time"));
    }
}
