//! The people of a company: what they ask, what they mean by it, and how they react.

use cogniverse::sdk::{Feedback, Modality};

/// What the company has videos about.
pub(crate) const TOPICS: [&str; 16] = [
    "pricing",
    "onboarding",
    "security",
    "hiring",
    "harbour",
    "logistics",
    "budget",
    "roadmap",
    "support",
    "branding",
    "safety",
    "travel",
    "payroll",
    "warehouse",
    "training",
    "research",
];

/// A query, and the kind of content that is meant by it.
pub(crate) struct Asked {
    pub(crate) query: String,
    pub(crate) means: Modality,
}

/// The people of one day.
pub(crate) struct Company {
    random: u64,
    /// Whether the words have changed their meaning.
    drifted: bool,
}

impl Company {
    pub(crate) fn new(day: usize, drifted: bool) -> Self {
        Self { random: (day as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, drifted }
    }

    /// A number from 0 to 1, the same for every tenant on the same day.
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let place = (self.random() * from.len() as f64) as usize;
        from.get(place).copied()
    }

    pub(crate) fn ask(&mut self) -> Asked {
        let topic = self.one_of(&TOPICS).unwrap_or("pricing");
        let quarter = (self.random() * 4.0) as u32 + 1;
        // Words of the company's own, and what they mean before and after.
        let own = [
            ("keynote", Modality::Document, Modality::Video),
            ("townhall", Modality::Audio, Modality::Audio),
            ("board", Modality::Image, Modality::Image),
            ("playbook", Modality::Document, Modality::Audio),
        ];
        let plain = [
            ("photos of", Modality::Image),
            ("podcast about", Modality::Audio),
            ("contract about", Modality::Document),
            ("footage of", Modality::Video),
        ];
        let is_own = self.random() < 0.6;
        match (is_own, self.one_of(&own), self.one_of(&plain)) {
            (true, Some((word, before, after)), _) => {
                let means = if self.drifted { after } else { before };
                Asked { query: format!("{topic} {word} q{quarter}"), means }
            }
            (_, _, Some((word, means))) => Asked { query: format!("{word} {topic} q{quarter}"), means },
            _ => Asked { query: topic.to_owned(), means: Modality::Video },
        }
    }

    /// What somebody does with results of the kind that they meant, or of another.
    pub(crate) fn react(&mut self, is_meant: bool) -> Option<Feedback> {
        match (self.random(), is_meant) {
            (luck, true) if luck < 0.8 => Some(Feedback::Watched),
            (luck, true) if luck < 0.85 => Some(Feedback::Skipped),
            (luck, false) if luck < 0.6 => Some(Feedback::AskedAgain),
            (luck, false) if luck < 0.85 => Some(Feedback::Skipped),
            (luck, false) if luck < 0.9 => Some(Feedback::Watched),
            _ => None,
        }
    }

    /// Whether a person in charge looks at this one.
    pub(crate) fn is_annotated(&mut self) -> bool {
        self.random() < 0.15
    }
}
