"""Loops that let a model work with tools through the official SDKs: what the model said goes back as it came."""

import json

from google.genai import types

from sdk_clients import Anthropic, Google, OpenAI

QUESTION = "What is the weather in Paris and Rome, and the time?"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ZONE = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}
SCHEMAS = {"get_weather": CITY, "get_time": ZONE}
MOST_TURNS = 5


def run(name: str, arguments: dict) -> str:
    """Runs a tool."""
    if name == "get_time":
        return {"Europe/Paris": "12:30"}[arguments["zone"]]
    return {"Paris": "18 degrees", "Rome": "25 degrees"}[arguments["city"]]


def work_with_openai(client: OpenAI, model: str) -> str:
    tools = [{"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in SCHEMAS.items()]
    messages: list = [{"role": "user", "content": QUESTION}]
    for _ in range(MOST_TURNS):
        completion = client.sdk.chat.completions.create(
            model=client.route.model(model), messages=messages, tools=tools, reasoning_effort="high")
        message = completion.choices[0].message
        if not message.tool_calls:
            return message.content
        messages.append(message)
        for call in message.tool_calls:
            result = run(call.function.name, json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise AssertionError(f"no end after {MOST_TURNS} turns: {messages}")


def work_with_anthropic(client: Anthropic, model: str) -> str:
    tools = [{"name": name, "input_schema": schema} for name, schema in SCHEMAS.items()]
    messages: list = [{"role": "user", "content": QUESTION}]
    for _ in range(MOST_TURNS):
        message = client.sdk.messages.create(
            model=client.route.model(model), messages=messages, tools=tools, max_tokens=2048,
            thinking={"type": "enabled", "budget_tokens": 1024})
        if message.stop_reason != "tool_use":
            return "".join(block.text for block in message.content if block.type == "text")
        messages.append({"role": "assistant", "content": message.content})
        messages.append({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": block.id, "content": run(block.name, block.input)}
            for block in message.content if block.type == "tool_use"
        ]})
    raise AssertionError(f"no end after {MOST_TURNS} turns: {messages}")


def work_with_google(client: Google, model: str) -> str:
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[
            types.FunctionDeclaration(name=name, parameters_json_schema=schema) for name, schema in SCHEMAS.items()])],
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024))
    contents: list = [types.Content(role="user", parts=[types.Part(text=QUESTION)])]
    for _ in range(MOST_TURNS):
        answer = client.sdk.models.generate_content(model=client.route.model(model), contents=contents, config=config)
        content = answer.candidates[0].content
        calls = [part.function_call for part in content.parts if part.function_call]
        if not calls:
            return "".join(part.text for part in content.parts if part.text and not part.thought)
        contents.append(content)
        contents.append(types.Content(role="user", parts=[
            types.Part(function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"output": run(call.name, call.args)}))
            for call in calls
        ]))
    raise AssertionError(f"no end after {MOST_TURNS} turns: {contents}")


WORK = {OpenAI: work_with_openai, Anthropic: work_with_anthropic, Google: work_with_google}
