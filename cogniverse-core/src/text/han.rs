//! Chinese characters in their simplified form, so that either script finds the other.

/// Pairs of characters of three bytes each, a traditional one and its simplified form, sorted: those of `TSCharacters.txt` of
/// [OpenCC](https://github.com/BYVoid/OpenCC) (Apache-2.0), the first where it gives several.
const PAIRS: &str = include_str!("simplified.txt");
const BYTES: usize = 3;

/// Returns the simplified form of a traditional character; `None` for all others.
pub(super) fn simplified(c: char) -> Option<char> {
    if c.len_utf8() != BYTES {
        return None;
    }
    let at = |pair: usize| PAIRS.get(pair * BYTES * 2..(pair + 1) * BYTES * 2);
    let (mut low, mut high) = (0, PAIRS.len() / (BYTES * 2));
    while low < high {
        let middle = low.midpoint(high);
        let mut pair = at(middle)?.chars();
        match pair.next()?.cmp(&c) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Equal => return pair.next(),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simplified_form_is_final_and_found() {
        let pairs: Vec<char> = PAIRS.chars().collect();
        assert_eq!(pairs.len() % 2, 0);
        for pair in pairs.chunks(2) {
            assert_eq!(simplified(pair[0]), Some(pair[1]));
            assert_eq!(simplified(pair[1]), None);
        }
        assert_eq!("機器學習".chars().map(|c| simplified(c).unwrap_or(c)).collect::<String>(), "机器学习");
        assert_eq!(simplified('a'), None);
    }
}
