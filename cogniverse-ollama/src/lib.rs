//! Language models and text embeddings by Ollama, and by any server of the OpenAI form.
