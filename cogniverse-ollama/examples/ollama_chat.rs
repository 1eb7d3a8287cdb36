//! Asks a model of an Ollama and shows the answer as it comes.
//!
//! Needs: an Ollama with the model (`ollama pull gemma3:4b`).
//! Prints: the answer piece by piece, then why it ended and the tokens a second.
//!
//! `cargo run --example ollama_chat -- --url http://localhost:11434 --model gemma3:4b "Why is the sky blue?"`

#![allow(clippy::print_stdout, reason = "an example prints")]

use anyhow::Result;
use clap::Parser;
use cogniverse_ollama::{ModelName, OllamaClient, OllamaConfig};
use cogniverse_sdk::{ChatMessage, ChatRequest};
use std::io::Write;

#[derive(Parser)]
struct Arguments {
    /// Where Ollama is.
    #[arg(long, env = "OLLAMA_URL", default_value = "http://localhost:11434")]
    url: String,
    /// The model, with or without `ollama/` before it.
    #[arg(long, default_value = "gemma3:4b")]
    model: String,
    /// Tokens of the answer, at most.
    #[arg(long, default_value_t = 200)]
    max_tokens: u32,
    /// What to say to it.
    text: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let client = OllamaClient::new(OllamaConfig::new(arguments.url))?;
    let request = ChatRequest::new(vec![ChatMessage::user(arguments.text)]).with_max_tokens(arguments.max_tokens);
    let mut show = |piece: &str| {
        print!("{piece}");
        std::io::stdout().flush().ok();
    };
    let generation = client.chat_streamed(&ModelName::parse(&arguments.model)?, &request, &mut show).await?;
    println!("\n---\nended by: {:?}", generation.answer.finish);
    if generation.answer.prompt_cut {
        println!("the text was longer than the model's context, and was cut");
    }
    if let (Some(tokens), Some(speed)) = (generation.answer.completion_tokens, generation.tokens_per_second()) {
        println!("{tokens} tokens, {speed:.1} a second");
    }
    Ok(())
}
