//! Lowering of syntax trees to [`Score`]s: recognizes the formulas that schemas use and checks the names in them.

use super::{
    expression::{self, Node, Operator},
    strategy::{Metric, Score, StrategyInputs},
};
use cogniverse_sdk::{
    CellType, Error, FieldName, Result, TensorShape, TensorType,
    quantize::packed_bytes,
    schema::{Field, FieldType, Indexing, RankProfile},
};
use std::collections::HashMap;

/// The supported forms, for the error about an unsupported one.
const FORMS: &str = "bm25(F), closeness(field, F), MaxSim as sum(reduce(sum(query(q) * attribute(F), v), max, p), t), the same over \
                     unpack_bits(attribute(F)), hamming MaxSim as sum(reduce(1/(1 + sum(hamming(query(q), attribute(F)), v)), max, p), t), \
                     sum(query(q) * attribute(F), v), sums of these, and multiples by a number";

/// The most expansions of functions in one expression.
const MAX_EXPANSIONS: usize = 1000;

/// The greatest height of a tree with its functions expanded.
const MAX_HEIGHT: usize = 400;

/// The lowering of one rank profile's expressions.
pub(super) struct Lowering<'s> {
    fields: &'s [Field],
    profile: &'s RankProfile,
    functions: HashMap<&'s str, Node>,
    queries: HashMap<&'s str, &'s TensorType>,
    expansions: usize,
    height: usize,
    /// The inputs that the expressions so far need.
    pub(super) inputs: StrategyInputs,
}

impl<'s> Lowering<'s> {
    pub(super) fn new(fields: &'s [Field], profile: &'s RankProfile) -> Result<Self> {
        let mut functions = HashMap::new();
        for function in &profile.functions {
            if functions.insert(function.name.as_str(), expression::parse(&function.expression)?).is_some() {
                return Err(Error::invalid(format!("the function \"{}\" is defined twice", function.name)));
            }
        }
        let mut queries = HashMap::new();
        for input in &profile.inputs {
            let name = input.name.strip_prefix("query(").and_then(|n| n.strip_suffix(')'));
            let name = name.ok_or_else(|| {
                Error::invalid(format!("the input \"{}\" is not of the form query(name)", input.name))
            })?;
            if queries.insert(name, &input.tensor_type).is_some() {
                return Err(Error::invalid(format!("the input \"{}\" is declared twice", input.name)));
            }
        }
        Ok(Self { fields, profile, functions, queries, expansions: 0, height: 0, inputs: StrategyInputs::default() })
    }

    /// Compiles an expression to a score.
    pub(super) fn score(&mut self, text: &str) -> Result<Score> {
        let node = expression::parse(text)?;
        let node = self.expand(node, &mut Vec::new())?;
        self.lower(&node, text)
    }

    /// Refuses a name that is no function of the profile.
    pub(super) fn check_function(&self, name: &str) -> Result<()> {
        if self.functions.contains_key(name) {
            return Ok(());
        }
        let known = self.profile.functions.iter().map(|function| &function.name);
        Err(Error::invalid(Error::unknown("function", name, known).message()))
    }

    /// Expands functions, and drops casts to float, which change no value here.
    fn expand(&mut self, node: Node, within: &mut Vec<String>) -> Result<Node> {
        self.expansions += 1;
        self.height += 1;
        if self.expansions > MAX_EXPANSIONS || self.height > MAX_HEIGHT {
            return Err(Error::invalid("the functions of this rank profile grow without end; write them out"));
        }
        let expanded = self.expand_one(node, within)?;
        self.height -= 1;
        Ok(expanded)
    }

    fn expand_one(&mut self, node: Node, within: &mut Vec<String>) -> Result<Node> {
        Ok(match node {
            Node::Name(name) => match self.functions.get(name.as_str()).cloned() {
                None => Node::Name(name),
                Some(_) if within.contains(&name) => {
                    return Err(Error::invalid(format!("the function \"{name}\" calls itself")));
                }
                Some(body) => {
                    within.push(name);
                    let expanded = self.expand(body, within)?;
                    within.pop();
                    expanded
                }
            },
            Node::Call(name, arguments) => {
                let mut arguments =
                    arguments.into_iter().map(|a| self.expand(a, within)).collect::<Result<Vec<_>>>()?;
                match (name.as_str(), arguments.as_slice()) {
                    ("cell_cast", [_, Node::Name(cell)]) if cell == "float" => arguments.swap_remove(0),
                    _ => Node::Call(name, arguments),
                }
            }
            Node::Binary(operator, left, right) => {
                let left = self.expand(*left, within)?;
                Node::Binary(operator, Box::new(left), Box::new(self.expand(*right, within)?))
            }
            Node::Negated(inner) => Node::Negated(Box::new(self.expand(*inner, within)?)),
            Node::Number(number) => Node::Number(number),
        })
    }

    fn lower(&mut self, node: &Node, text: &str) -> Result<Score> {
        match node {
            Node::Number(number) => Ok(Score::Constant(*number)),
            Node::Binary(Operator::Add, left, right) => {
                let mut parts = Vec::new();
                for side in [left, right] {
                    match self.lower(side, text)? {
                        Score::Sum(more) => parts.extend(more),
                        one => parts.push(one),
                    }
                }
                Ok(Score::Sum(parts))
            }
            Node::Binary(Operator::Multiply, left, right) => match (&**left, &**right) {
                (Node::Number(factor), part) | (part, Node::Number(factor)) => {
                    Ok(Score::Scaled(*factor, Box::new(self.lower(part, text)?)))
                }
                _ => Err(unknown_form(text)),
            },
            Node::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
                ("bm25", [Node::Name(field)]) => self.bm25(field),
                ("closeness", [Node::Name(kind), Node::Name(field)]) if kind == "field" => self.closeness(field),
                ("sum", [Node::Call(reduce, inner), Node::Name(token)]) if reduce == "reduce" => match inner.as_slice()
                {
                    [body, Node::Name(max), Node::Name(mapped)] if max == "max" => {
                        self.max_sim(body, mapped, token, text)
                    }
                    _ => Err(unknown_form(text)),
                },
                ("sum", [product, Node::Name(dimension)]) => self.dot(product, dimension, text),
                (name, _) if expression::global_only(name) => Err(Error::invalid(format!(
                    "{name} compares hits with each other, which only a global phase does; move it to global_phase"
                ))),
                _ => Err(unknown_form(text)),
            },
            Node::Name(_) | Node::Binary(..) | Node::Negated(_) => Err(unknown_form(text)),
        }
    }

    fn bm25(&mut self, name: &str) -> Result<Score> {
        let field = self.field(name)?;
        if field.field_type != FieldType::String || !field.has(Indexing::Index) || !field.is_bm25() {
            return Err(Error::invalid(format!(
                "bm25({name}) needs a string field with indexing \"index\" and index \"enable-bm25\""
            )));
        }
        self.inputs.text = true;
        Ok(Score::Bm25(field.name.clone()))
    }

    fn closeness(&mut self, name: &str) -> Result<Score> {
        let (field, tensor) = self.tensor(name)?;
        if tensor.shape() != TensorShape::Single {
            return Err(Error::invalid(format!(
                "closeness(field, {name}) needs one vector per document, and {name} is {tensor}"
            )));
        }
        let metric = match field.distance_metric().unwrap_or("euclidean") {
            "euclidean" => Metric::Euclidean,
            "angular" => Metric::Angular,
            "prenormalized-angular" => Metric::PrenormalizedAngular,
            "dotproduct" => Metric::DotProduct,
            "hamming" => Metric::Hamming,
            other => {
                let known = ["angular", "dotproduct", "euclidean", "hamming", "prenormalized-angular"];
                return Err(Error::invalid(Error::unknown("distance metric", other, known).message()));
            }
        };
        if (metric == Metric::Hamming) != (tensor.cell() == CellType::Int8) {
            return Err(Error::invalid(format!(
                "the distance metric of {name} does not fit {tensor}: hamming is for int8, the others for floats"
            )));
        }
        let binary = tensor.cell() == CellType::Int8;
        let wanted = |input: &TensorType| {
            input.shape() == TensorShape::Single
                && input.size() == tensor.size()
                && (input.cell() == CellType::Int8) == binary
        };
        let Some(input) = self.queries.values().find(|input| wanted(input)).map(|input| (*input).clone()) else {
            return Err(Error::invalid(format!(
                "closeness(field, {name}) needs a declared input of the size of {tensor}"
            )));
        };
        self.need(&input)?;
        Ok(Score::Closeness { field: field.name.clone(), metric })
    }

    /// Compiles `reduce(body, max, mapped)`.
    fn max_sim(&mut self, body: &Node, mapped: &str, token: &str, text: &str) -> Result<Score> {
        let check = |input: &TensorType, tensor: &TensorType| {
            if tensor.mapped() != Some(mapped) || input.mapped() != Some(token) {
                return Err(Error::invalid(format!(
                    "MaxSim over {mapped} and {token} does not fit {input} and {tensor}"
                )));
            }
            Ok(())
        };
        if let Some((query, field, dimension)) = hamming(body) {
            let ((field, tensor), input) = (self.tensor(field)?, self.query(query)?);
            check(&input, &tensor)?;
            if tensor.cell() != CellType::Int8
                || input.cell() != CellType::Int8
                || tensor.size() != input.size()
                || tensor.indexed() != dimension
            {
                return Err(Error::invalid(format!(
                    "hamming needs two int8 tensors of one size over {dimension}, not {input} and {tensor}"
                )));
            }
            let field = field.name.clone();
            self.need(&input)?;
            return Ok(Score::HammingMaxSim { field });
        }
        let Node::Call(sum, arguments) = body else { return Err(unknown_form(text)) };
        let (true, [product, Node::Name(dimension)]) = (sum == "sum", arguments.as_slice()) else {
            return Err(unknown_form(text));
        };
        let Product { field, query, bits } = product_of(product).ok_or_else(|| unknown_form(text))?;
        let (name, tensor, input) = self.product_types(field, query, bits, dimension)?;
        check(&input, &tensor)?;
        self.need(&input)?;
        Ok(match bits {
            None => Score::MaxSim { field: name },
            Some(signed) => Score::MaxSimBits { field: name, signed },
        })
    }

    fn dot(&mut self, product: &Node, dimension: &str, text: &str) -> Result<Score> {
        let Product { field, query, bits } = product_of(product).ok_or_else(|| unknown_form(text))?;
        let (name, tensor, input) = self.product_types(field, query, bits, dimension)?;
        if tensor.shape() != TensorShape::Single || input.shape() != TensorShape::Single {
            return Err(Error::invalid(format!(
                "a dot product needs one vector on each side, not {input} and {tensor}"
            )));
        }
        self.need(&input)?;
        Ok(match bits {
            None => Score::Dot { field: name },
            Some(signed) => Score::BitsDot { field: name, signed },
        })
    }

    fn product_types(
        &self,
        field: &str,
        query: &str,
        bits: Option<bool>,
        dimension: &str,
    ) -> Result<(FieldName, TensorType, TensorType)> {
        let ((field, tensor), input) = (self.tensor(field)?, self.query(query)?);
        let fits = match bits {
            None => tensor.cell() != CellType::Int8 && tensor.size() == input.size(),
            Some(_) => tensor.cell() == CellType::Int8 && tensor.size() == packed_bytes(input.size()),
        };
        if input.cell() == CellType::Int8 || !fits || tensor.indexed() != dimension || input.indexed() != dimension {
            return Err(Error::invalid(format!(
                "query({query}) is {input} and {} is {tensor}: their product over {dimension} needs equal dimensions, eight bits to a byte",
                field.name
            )));
        }
        Ok((field.name.clone(), tensor, input))
    }

    fn field(&self, name: &str) -> Result<&'s Field> {
        self.fields.iter().find(|field| field.name.as_str() == name).ok_or_else(|| {
            Error::invalid(Error::unknown("field", name, self.fields.iter().map(|field| &field.name)).message())
        })
    }

    fn tensor(&self, name: &str) -> Result<(&'s Field, TensorType)> {
        let field = self.field(name)?;
        match &field.field_type {
            FieldType::Tensor(tensor) => Ok((field, tensor.clone())),
            other => Err(Error::invalid(format!("{name} is used as a tensor and is a {other}"))),
        }
    }

    fn query(&self, name: &str) -> Result<TensorType> {
        let declared = self.queries.get(name).map(|tensor| (*tensor).clone());
        declared.ok_or_else(|| {
            let inputs = self.profile.inputs.iter().map(|input| &input.name);
            Error::invalid(Error::unknown("input", format!("query({name})"), inputs).message())
        })
    }

    fn need(&mut self, input: &TensorType) -> Result<()> {
        let slot = if input.cell() == CellType::Int8 { &mut self.inputs.binary } else { &mut self.inputs.float };
        match slot {
            Some(known) if known != input => {
                Err(Error::invalid(format!("two inputs of one kind: {known} and {input}")))
            }
            _ => {
                *slot = Some(input.clone());
                Ok(())
            }
        }
    }
}

fn unknown_form(text: &str) -> Error {
    Error::invalid(format!(
        "the expression \"{}\" is of no known form; there are: {FORMS}",
        expression::shortened(text)
    ))
}

fn call<'n>(node: &'n Node, name: &str) -> Option<&'n [Node]> {
    match node {
        Node::Call(called, arguments) if called == name => Some(arguments),
        _ => None,
    }
}

fn named<'n>(node: &'n Node, function: &str) -> Option<&'n str> {
    match call(node, function)? {
        [Node::Name(name)] => Some(name),
        _ => None,
    }
}

fn is_number(node: &Node, value: f64) -> bool {
    matches!(node, Node::Number(number) if (number - value).abs() < f64::EPSILON)
}

/// Matches `1/(1 + sum(hamming(query(q), attribute(F)), v))` and returns the query, the field and the dimension.
fn hamming(node: &Node) -> Option<(&str, &str, &str)> {
    let Node::Binary(Operator::Divide, one, below) = node else { return None };
    let Node::Binary(Operator::Add, also_one, sum) = &**below else { return None };
    if !is_number(one, 1.0) || !is_number(also_one, 1.0) {
        return None;
    }
    let [distance, Node::Name(dimension)] = call(sum, "sum")? else { return None };
    let [a, b] = call(distance, "hamming")? else { return None };
    let (query, field) = match (named(a, "query"), named(b, "attribute")) {
        (Some(query), Some(field)) => (query, field),
        _ => (named(b, "query")?, named(a, "attribute")?),
    };
    Some((query, field, dimension))
}

/// The product of a query tensor and a document tensor.
struct Product<'n> {
    query: &'n str,
    field: &'n str,
    /// Set where the document's bits are read as numbers; `true` for -1 and 1.
    bits: Option<bool>,
}

fn product_of(node: &Node) -> Option<Product<'_>> {
    let Node::Binary(Operator::Multiply, a, b) = node else { return None };
    let (query, document) = match named(a, "query") {
        Some(query) => (query, &**b),
        None => (named(b, "query")?, &**a),
    };
    if let Some(field) = named(document, "attribute") {
        return Some(Product { query, field, bits: None });
    }
    if let Some(field) = unpacked(document) {
        return Some(Product { query, field, bits: Some(false) });
    }
    // 2 * unpack_bits(attribute(F)) - 1
    let Node::Binary(Operator::Subtract, doubled, one) = document else { return None };
    let Node::Binary(Operator::Multiply, two, bits) = &**doubled else { return None };
    (is_number(one, 1.0) && is_number(two, 2.0)).then_some(())?;
    Some(Product { query, field: unpacked(bits)?, bits: Some(true) })
}

fn unpacked(node: &Node) -> Option<&str> {
    match call(node, "unpack_bits")? {
        [attribute] => named(attribute, "attribute"),
        _ => None,
    }
}
