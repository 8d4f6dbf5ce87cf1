"""Ten prompts of the kinds that the structured prompt surface is made for."""

PROMPTS = [
    "Translate 'Hello World' to French",
    "Analyze the sentiment of: I love this product!",
    "Extract entities from: John Smith works at Acme Corp in New York",
    "Summarize: The meeting moved to Thursday because two of the five engineers were travelling",
    "Classify this ticket: The invoice of October was charged twice",
    "Find the dates in: The lease runs from 1 March 2025 to 28 February 2027",
    "Übersetze ins Englische: Der Zug nach Köln fährt um 14 Uhr von Gleis 7",
    "Rewrite politely: Send me the report now",
    "List the ingredients in: Whisk three eggs with 200 ml of milk and a pinch of salt",
    "Which language is this: ¿Dónde está la biblioteca más cercana?",
]
