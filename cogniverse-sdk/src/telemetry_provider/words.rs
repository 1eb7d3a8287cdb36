//! Closed vocabularies of traces: span kinds, statuses and annotators.

macro_rules! word_enum {
    ($(#[$meta:meta])* $name:ident, else $unknown:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Returns the wire form.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Parses the wire form; an unknown word becomes the fallback variant.
            #[must_use]
            pub fn from_wire(word: &str) -> Self {
                match word { $($word => Self::$variant,)* _ => Self::$unknown }
            }
        }
    };
}

word_enum! {
    /// The kind of a span, as defined by OpenInference.
    SpanKind, else Unknown {
        /// A step that links other steps.
        Chain = "CHAIN",
        /// A call of a language model.
        Llm = "LLM",
        /// A tool call.
        Tool = "TOOL",
        /// A retrieval.
        Retriever = "RETRIEVER",
        /// An embedding.
        Embedding = "EMBEDDING",
        /// A turn of an agent.
        Agent = "AGENT",
        /// A reranking.
        Reranker = "RERANKER",
        /// A check of input or output.
        Guardrail = "GUARDRAIL",
        /// An evaluation.
        Evaluator = "EVALUATOR",
        /// The rendering of a prompt.
        Prompt = "PROMPT",
        /// A decision.
        Decision = "DECISION",
        /// An unknown or unset kind.
        Unknown = "UNKNOWN",
    }
}

word_enum! {
    /// The status of a finished span.
    SpanStatus, else Unset {
        /// The operation succeeded.
        Ok = "OK",
        /// The operation failed.
        Error = "ERROR",
        /// No status was set, which OpenTelemetry does not count as an error.
        Unset = "UNSET",
    }
}

word_enum! {
    /// The kind of annotator.
    AnnotatorKind, else Code {
        /// A human.
        Human = "HUMAN",
        /// A language model.
        Llm = "LLM",
        /// Code, such as a rule.
        Code = "CODE",
    }
}
