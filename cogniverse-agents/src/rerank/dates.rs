//! The time that a query asks for.

use cogniverse_sdk::Timestamp;

const DAY: i64 = 86_400;

/// Words for a time before now, in days from its start and its end.
const WORDS: [(&str, i64, i64); 23] = [
    ("yesterday", 2, 0),
    ("today", 1, 0),
    ("last week", 14, 0),
    ("this week", 7, 0),
    ("last month", 60, 0),
    ("this month", 31, 0),
    ("last year", 730, 0),
    ("this year", 366, 0),
    ("gestern", 2, 0),
    ("heute", 1, 0),
    ("letzte woche", 14, 0),
    ("diese woche", 7, 0),
    ("letzten monat", 60, 0),
    ("letztes jahr", 730, 0),
    ("aujourd'hui", 1, 0),
    ("la semaine dernière", 14, 0),
    ("le mois dernier", 60, 0),
    ("l'année dernière", 730, 0),
    ("ayer", 2, 0),
    ("la semana pasada", 14, 0),
    ("el mes pasado", 60, 0),
    ("el año pasado", 730, 0),
    ("hoy", 1, 0),
];

/// Returns the time that a query names, from its start to its end: days as `2026-03-01`, or words such as "last week".
/// `None` where it names none.
pub(super) fn asked_for(query: &str, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let days: Vec<Timestamp> = query.split(|c: char| !(c.is_ascii_digit() || c == '-')).filter_map(day).collect();
    if let (Some(first), Some(last)) = (days.iter().min(), days.iter().max()) {
        return Some((*first, shifted(*last, 1)?));
    }
    let text = query.to_lowercase();
    let is_word = |word: &str| {
        let apart = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
        text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            apart(before) && apart(text.get(at + word.len()..).and_then(|after| after.chars().next()))
        })
    };
    let (_, start, end) = WORDS.iter().find(|(word, ..)| is_word(word))?;
    Some((shifted(now, -start)?, shifted(now, -end)?))
}

fn day(text: &str) -> Option<Timestamp> {
    (text.len() == 10).then_some(())?;
    format!("{text}T00:00:00Z").parse().ok()
}

fn shifted(time: Timestamp, days: i64) -> Option<Timestamp> {
    Timestamp::from_second(time.as_second().checked_add(days.checked_mul(DAY)?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_words_name_a_time() {
        let now: Timestamp = "2026-03-20T12:00:00Z".parse().unwrap();
        let of = |query: &str| asked_for(query, now).map(|(start, end)| format!("{start}/{end}"));
        let wanted = |text: &str| Some(text.to_owned());
        assert_eq!(of("the crash of 2026-03-01"), wanted("2026-03-01T00:00:00Z/2026-03-02T00:00:00Z"));
        assert_eq!(of("between 2026-02-03 and 2026-01-01"), wanted("2026-01-01T00:00:00Z/2026-02-04T00:00:00Z"));
        assert_eq!(of("Yesterday's meeting"), wanted("2026-03-18T12:00:00Z/2026-03-20T12:00:00Z"));
        assert_eq!(of("was war letzte Woche"), wanted("2026-03-06T12:00:00Z/2026-03-20T12:00:00Z"));
        // French for yesterday, and German for here.
        assert_eq!(of("was passiert hier"), None);
        for none in ["", "2026", "2026-13-01", "0000-00-00", "hierarchy of needs", "todayish", "9999-99-99-99"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
