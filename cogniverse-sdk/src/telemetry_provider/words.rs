//! The closed lists of words that traces are described by.

macro_rules! word_enum {
    ($(#[$meta:meta])* $name:ident, else $unknown:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Of a word on the wire; one that is not known is the variant for that.
            #[must_use]
            pub fn from_wire(word: &str) -> Self {
                match word { $($word => Self::$variant,)* _ => Self::$unknown }
            }
        }
    };
}

word_enum! {
    /// What a span did, in the words of OpenInference.
    SpanKind, else Unknown {
        /// A step of glue.
        Chain = "CHAIN",
        /// A call of a language model.
        Llm = "LLM",
        /// A tool.
        Tool = "TOOL",
        /// A search.
        Retriever = "RETRIEVER",
        /// An encoder.
        Embedding = "EMBEDDING",
        /// An agent's turn.
        Agent = "AGENT",
        /// A second ranking.
        Reranker = "RERANKER",
        /// A check of input or output.
        Guardrail = "GUARDRAIL",
        /// An evaluation.
        Evaluator = "EVALUATOR",
        /// A prompt was made.
        Prompt = "PROMPT",
        /// A decision.
        Decision = "DECISION",
        /// Not said.
        Unknown = "UNKNOWN",
    }
}

word_enum! {
    /// How a span ended.
    SpanStatus, else Unset {
        /// Well.
        Ok = "OK",
        /// In an error.
        Error = "ERROR",
        /// Nobody said; by OpenTelemetry's rule that is no error.
        Unset = "UNSET",
    }
}

word_enum! {
    /// Who judged.
    AnnotatorKind, else Code {
        /// A person.
        Human = "HUMAN",
        /// A model.
        Llm = "LLM",
        /// A rule.
        Code = "CODE",
    }
}
