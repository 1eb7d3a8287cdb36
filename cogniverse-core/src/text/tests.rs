use super::*;
use crate::text::{fold::fold, stems::Stemming};
use proptest::prelude::*;

fn terms(text: &str) -> Vec<String> {
    Analyzer::new().terms(text)
}

fn in_language(language: &str) -> Analyzer {
    Analyzer::of(Some(Language::parse(language).unwrap()))
}

/// Returns whether a document of a language (none where empty) has all words of the query.
fn finds_in(language: &str, query: &str, text: &str) -> bool {
    let language = Language::of(language);
    let words = query_words(query, language);
    let found = Analyzer::of(language).terms(text);
    !words.is_empty() && words.iter().all(|word| word.is_extra || word.terms.iter().any(|term| found.contains(term)))
}

fn finds(query: &str, text: &str) -> bool {
    finds_in("", query, text)
}

#[test]
fn words_are_folded_and_stemmed() {
    assert_eq!(terms("The Runner's cafés RUNNING, (lifting) 3.5"), ["the", "runner", "cafe", "run", "lift", "3.5"]);
    assert_eq!(terms(""), Vec::<String>::new());
    assert_eq!(terms("don\u{2019}t"), terms("don't"));
    assert_eq!(terms("東京 video"), ["東", "东", "東京", "东京", "京", "video"]);
}

#[test]
fn a_mark_that_makes_another_letter_is_not_removed() {
    let apart = [
        ("カラス", "ガラスの修理を説明します"),
        ("ぱぱ", "はは"),
        ("ぱぱ", "ばば"),
        ("カラス", "カ\u{3099}ラス"),
        ("किताब", "कताब"),
        ("की", "का"),
        ("ขาว", "ข่าว"),
        ("май", "маи"),
        ("सड़क", "सडक"),
    ];
    for (query, text) in apart {
        assert!(!finds(query, text), "{query} finds {text}");
    }
    let same = [
        ("ガラス", "カ\u{3099}ラス"),
        ("ガラス", "ｶﾞﾗｽ"),
        ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
        ("שלום", "שָׁלוֹם"),
        ("كتاب", "كِتَابٌ"),
        ("кот еще", "кот ещё"),
        ("ข่าว", "อ่านข่าว"),
        ("καλημερα", "Καλημέρα"),
        ("ΛΟΓΟΣ", "λόγος"),
        ("फिल्म", "फ़िल्म"),
        ("१२", "12"),
    ];
    for (query, text) in same {
        assert!(finds(query, text), "{query} does not find {text}");
    }
}

/// Not even one term: with words joined by "or", one would find it.
#[test]
fn a_crow_has_nothing_in_common_with_glass() {
    let (crow, glass) = (Analyzer::of_query(None).terms("カラス"), terms("ガラスの修理を説明します"));
    assert!(!crow.iter().any(|term| glass.contains(term)), "{crow:?} {glass:?}");
}

#[test]
fn strokes_and_case_are_folded() {
    let same = [
        ("Lodz", "Wycieczka do Łodzi i Łódź"),
        ("Kobenhavn Aero", "København og Ærø"),
        ("STRASSE", "Straße der Gärten"),
        ("straße", "STRASSE"),
        ("STRAẞE", "strasse"),
        ("istanbul irmak", "İstanbul ırmak"),
        ("ISTANBUL", "İSTANBUL"),
        ("Da Nang", "Đà Nẵng"),
        ("oeuvre thor", "Œuvre Þór"),
        ("file", "ＦＩＬＥ ﬁle"),
        ("cooperation", "co\u{ad}operation"),
        ("smorgasbord", "smo\u{308}rga\u{30a}sbord"),
    ];
    for (query, text) in same {
        assert!(finds(query, text), "{query} does not find {text}");
    }
}

#[test]
fn what_joins_words_is_split_and_kept() {
    for part in ["machine", "learning", "intro", "machine_learning", "machine_learning.intro", "machine learning"] {
        assert!(finds(part, "machine_learning.intro"), "{part}");
    }
    assert!(terms("machine_learning.intro").contains(&"machine_learning".to_owned()));
    assert!(terms("machine_learning.intro").contains(&"machine_learning.intro".to_owned()));
    for part in ["machine", "learning", "MachineLearningThree", "machinelearningthree", "machine learning three"] {
        assert!(finds(part, "MachineLearningThree"), "{part}");
    }
    assert!(finds("parser", "HTMLParser") && finds("html", "HTMLParser") && finds("intro", "Part2Intro"));
    assert_eq!(terms("v_cAcA8dO7kA iPhone"), ["v", "caca8do7ka", "v_caca8do7ka", "iphon"]);
    assert!(finds("board meeting", "2024_03_01_board_meeting") && finds("2024", "2024_03_01_board_meeting"));
    let words = |text| Analyzer::new().sequence(text);
    assert_eq!(words("machine_learning_intro"), words("machine learning intro"));
    assert_eq!(words("2024_03_01_board_meeting"), ["2024", "03", "01", "board", "meet"]);
    assert_eq!(words("intro_to_ml.final.v2"), ["intro", "to", "ml", "final", "v2"]);
    assert_eq!(words("ｍｌ．final＿cut"), ["ml", "final", "cut"]);
    assert_eq!(terms("__init__"), ["init"]);
    assert_eq!(words("U.S.A."), words("USA"));
    assert_eq!(words("l\u{2019}homme"), ["l", "homm"]);
    assert_eq!(words("don't o'clock"), ["don't", "o'clock"]);
    let mut ranges = Vec::new();
    Analyzer::new().analyze("ein_Wort.mp4", |range, _| ranges.push(range));
    assert_eq!(ranges, [0..3, 4..8, 9..12, 0..8, 0..12]);
}

#[test]
fn numbers_are_found_with_and_without_marks() {
    assert_eq!(terms("3.5 1,000 10:30"), ["3.5", "1000", "10", "30"]);
    for (query, text) in [("1000", "1,000"), ("1,000", "1000"), ("1,000,000.5", "1000000.5"), ("1000", "1.000 Euro")] {
        assert!(finds(query, text), "{query} does not find {text}");
    }
    assert!(finds_in("de", "3.14", "3,14") && finds_in("de", "1000", "1.000") && finds_in("ar", "2024", "٢٠٢٤"));
    assert!(!finds("3", "3.14") && !finds("14", "3.14") && finds("3.14", "π is 3.14."));
}

#[test]
fn names_with_signs_are_apart_from_those_without() {
    for (name, other) in [("C++", "C"), ("C#", "C"), ("F#", "F"), (".NET", "NET"), ("C++", "C#")] {
        let text = format!("Learn {name}, fast.");
        assert!(finds(name, &text) && finds(&name.to_lowercase(), &text), "{name}");
        assert!(!finds(other, &text), "{other} finds {name}");
        assert!(!finds(name, &format!("Learn {other}, fast.")), "{name} finds {other}");
    }
    assert!(finds("notepad", "Notepad++") && finds("notepad++", "Notepad++"));
    assert!(finds("c", "is it C? #5") && finds("net", "the net.") && finds("net", "example.net"));
    let mut ranges = Vec::new();
    Analyzer::new().analyze("in C++/.NET", |range, _| ranges.push(range));
    assert_eq!(ranges, [0..2, 3..6, 7..11]);
}

#[test]
fn words_are_stemmed_by_their_language() {
    for (language, query, text) in [
        ("de", "Haus", "viele Häuser"),
        ("de", "Muenchen", "München"),
        ("de", "Munchen", "München"),
        ("de", "München", "Muenchen"),
        ("fr", "cheval", "chevaux"),
        ("fr", "eleve", "élèves"),
        ("fr", "manger", "nous avons mangé"),
        ("es", "canciones", "canción"),
        ("es", "educación", "educaciones"),
        ("it", "ragazzo", "ragazzi"),
        ("pt", "cantar", "cantando"),
        ("nl", "boeken", "boek"),
        ("sv", "bilar", "bilen"),
        ("da", "koebenhavn", "København"),
        ("tr", "kitaplar", "kitap"),
        ("fi", "talossa", "talo"),
        ("hu", "házak", "ház"),
        ("ro", "copiilor", "copii"),
        ("ru", "книга", "книгами"),
        ("el", "δρόμος", "δρόμους"),
        ("ar", "كتاب", "الكتاب"),
        ("ar", "مدرسة", "المدرسه"),
        ("hi", "किताब", "किताबों"),
        ("ta", "புத்தகம்", "புத்தகங்கள்"),
        ("ja", "コンピュータ", "コンピューター"),
        ("zh", "机器学习", "機器學習入門"),
        ("zh", "機器學習", "机器学习"),
        ("ko", "학교", "학교에서"),
    ] {
        assert!(finds_in(language, query, text), "{language}: {query} does not find {text}");
    }
    // English stems do no harm to other languages.
    assert_eq!(in_language("pl").terms("running"), ["running"]);
    assert_eq!(in_language("ja").terms("running"), ["run"]);
    // Without a language, by the script.
    assert!(finds("книга", "книгами") && finds("किताब", "किताबों") && finds("机器学习", "機器學習入門"));
    assert!(finds("機器學習", "机器学习"));
    assert!(!finds_in("ja", "机", "飛行機"), "a desk is no machine in Japanese");
}

#[test]
fn turkish_has_two_letters_i() {
    assert!(
        finds_in("tr", "ışık", "IŞIK") && finds_in("tr", "isik", "IŞIKLAR") && finds_in("tr", "İSTANBUL", "istanbul")
    );
}

#[test]
fn scripts_without_blanks_are_found_by_parts() {
    for (query, text) in [
        ("東京", "東京都に行きます"),
        ("猫", "猫が好き"),
        ("学习", "我们在学习中文"),
        ("ขาว", "แมวสีขาว"),
        ("ភាសា", "រៀនភាសាខ្មែរ"),
        ("집", "우리집에서"),
        ("팝", "K팝 음악"),
        ("k", "K팝"),
    ] {
        assert!(finds(query, text), "{query} does not find {text}");
    }
    assert_eq!(Analyzer::of_query(None).terms("日本語"), ["日本", "本語", "本语"]);
    assert_eq!(Analyzer::of_query(None).terms("日本語 カラス"), ["日本", "本語", "本语", "カラス"]);
    assert_eq!(Analyzer::of_query(None).terms("호수까지 K팝송"), ["호수", "수까", "까지", "k", "팝송"]);
    assert!(!finds("호수", "산호 목수"));
    assert!(!finds("本京", "東京の本"), "letters that do not follow each other");
}

#[test]
fn a_query_without_words_says_so_in_every_script() {
    for query in ["a", "7", "ж", "λ", "ع", "अ", "த", "中", "か", "カ", "한", "ก", "ភ", "မ", "א", "ა", "አ", "ᐃ", "C++"]
    {
        check_words(query).unwrap_or_else(|error| unreachable!("{query}: {error}"));
    }
    for query in ["", " ", "?!", "…", "。、", "「」", "ـــ", "\u{301}", "🎬", "\u{200B}", "؟", "।", "++", "_._"]
    {
        assert!(check_words(query).unwrap_err().to_string().contains("no word to search by"), "{query:?}");
    }
}

/// Time is linear in the length of the text, whatever joins its letters.
#[test]
fn a_long_word_takes_no_more_than_its_length() {
    let analyzer = Analyzer::new();
    for joined in [
        "b'",
        "l'",
        "bb\u{2019}",
        "a.",
        "ab.",
        "b_",
        "1.",
        "1,",
        "e\u{301}'",
        "カ\u{3099}",
        "b:",
        "aB",
        "東",
        "한",
        "c++",
    ] {
        let took = |letters: usize| {
            let text = joined.repeat(letters);
            let begun = std::time::Instant::now();
            analyzer.analyze(&text, |_, _| ());
            begun.elapsed()
        };
        took(1000);
        let (short, long) = (took(10_000).max(std::time::Duration::from_millis(2)), took(100_000));
        assert!(long < short * 40, "{joined}: {short:?} and {long:?}");
    }
}

#[test]
fn invariant_21_query_syntax_is_only_words() {
    assert_eq!(terms("\" OR 1=1; DROP TABLE -- title:(x)"), ["or", "1", "1", "drop", "tabl", "titl", "x"]);
}

#[test]
fn a_query_looks_for_what_documents_of_each_language_have() {
    let languages = ["de", "fr"].map(|language| Language::parse(language).unwrap());
    let words = query_words("chevaux Häuser", languages);
    let terms: Vec<&[String]> = words.iter().map(|word| word.terms.as_slice()).collect();
    assert_eq!(terms.len(), 2);
    for (language, text) in [("fr", "cheval"), ("de", "Haus"), ("", "chevaux"), ("", "Häuser")] {
        let found = Analyzer::of(Language::of(language)).terms(text);
        assert!(terms.iter().any(|terms| terms.iter().any(|term| found.contains(term))), "{text} {terms:?}");
    }
    assert_eq!(query_terms("run running RUN", None), [("run".to_owned(), 3)]);
}

#[test]
fn highlights_mark_whole_runs_by_the_language_of_the_document() {
    let field = cogniverse_sdk::FieldName::parse("title").unwrap();
    let marked = |language: Option<&str>, text: &str, query: &str| -> Vec<String> {
        let fields = Fields::from([(field.clone(), text.into())]);
        let id = cogniverse_sdk::DocumentId::parse("one").unwrap();
        let document = cogniverse_sdk::Document { id, fields };
        let language = language.and_then(Language::of);
        let words: Vec<String> = query_terms(query, language).into_iter().map(|(term, _)| term).collect();
        let found = highlights(&document, language, std::slice::from_ref(&field), &words);
        found.iter().flat_map(|highlight| highlight.ranges.iter().map(|range| text[range.clone()].to_owned())).collect()
    };
    assert_eq!(marked(Some("de"), "Die Häuser am See", "haus"), ["Häuser"]);
    assert_eq!(marked(None, "東京都に行く", "東京都"), ["東京都"]);
    assert_eq!(marked(None, "see machine_learning.intro", "machine_learning"), ["machine_learning"]);
    assert_eq!(marked(None, "see machine_learning.intro", "learning"), ["learning"]);
}

const LANGUAGES: [&str; 24] = [
    "ar", "da", "nl", "en", "fi", "fr", "de", "el", "hu", "it", "no", "pt", "ro", "ru", "es", "sv", "ta", "tr", "hi",
    "zh", "ja", "ko", "pl", "uk",
];

/// Texts of letters that are stemmed, of those that are folded, and of any.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-ZäöüßéèçñøåığşİIœ'_. +#0-9,-]{0,40}",
        "[а-яёієґ ]{0,30}",
        "[\u{621}-\u{655}\u{67E}\u{6A9}\u{6CC} ]{0,30}",
        "[\u{900}-\u{97F} ]{0,30}",
        "[\u{B80}-\u{BFF} ]{0,30}",
        "[α-ωΑ-Ωάέήίόύώς ]{0,30}",
        "[\u{3041}-\u{30FF}一-丁東機學\u{AC00}-\u{AC20}\u{1100}-\u{11FF}ก-๏a ]{0,30}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_text_has_terms_on_whole_letters(text in any_text(), language in proptest::sample::select(&LANGUAGES[..])) {
        for analyzer in [Analyzer::new(), in_language(language), Analyzer::of_query(Language::of(language))] {
            let mut last = 0;
            analyzer.tokens(&text, |token| {
                assert!(text.get(token.range()).is_some_and(|of| !of.is_empty()), "{token:?}");
                assert!(!token.term.is_empty(), "{token:?}");
                if !token.is_extra {
                    assert!(token.end >= last, "{token:?} after {last}");
                    last = token.end;
                }
            });
        }
    }

    #[test]
    fn folding_twice_is_folding_once(text in any_text()) {
        let once = fold(&text).into_owned();
        prop_assert_eq!(fold(&once), &*once);
    }

    #[test]
    fn a_word_finds_itself_in_documents_of_its_language(
        text in any_text(),
        language in proptest::sample::select(&LANGUAGES[..]),
    ) {
        let of = Language::of(language);
        for (documents, query) in [(None, None), (of, of), (of, None), (None, of)] {
            let found = Analyzer::of(documents).terms(&text);
            let languages = documents.or(query);
            for word in query_words(&text, languages) {
                prop_assert!(
                    word.terms.iter().any(|term| found.contains(term)),
                    "{:?} is not among {:?}", word, found
                );
            }
        }
    }

    #[test]
    fn stems_are_of_any_word(text in any_text()) {
        for language in LANGUAGES {
            for script in [script::Script::Latin, script::Script::Greek, script::Script::Tamil, script::Script::Cyrillic,
                script::Script::Arabic, script::Script::Devanagari]
            {
                let folded = fold(&text);
                let _ = Stemming::of(Language::of(language), script, &folded).stem(&folded);
            }
        }
    }
}
