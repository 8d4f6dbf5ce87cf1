"""What the stand-in answers by the model's name, and what a request must bring for it."""

import pathlib
import re

from asked import Asked, Refused

# The transcripts that the codecs' tests translate as well.
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "modules" / "dialect" / "crossing" / "testdata"

TOOLS = {"one_tool": ["get_weather"], "parallel_tools": ["get_weather", "get_time"], "zero_argument_tool": ["get_time"]}
# A PNG of one pixel.
IMAGE = ("image/png", "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")


def check(asked: Asked) -> None:
    """Refuses a request that lost what its scenario is about."""
    for name in TOOLS.get(asked.model, []):
        if name not in asked.tools:
            raise Refused(f"the tool {name} is not declared, only {sorted(asked.tools)}")
        if name == "get_weather" and "city" not in asked.tools[name].get("properties", {}):
            raise Refused(f"the schema of {name} has no city: {asked.tools[name]}")
    match asked.model:
        case "reasoning" if not asked.thinks:
            raise Refused("no thoughts are asked for")
        case "structured_output" if sorted((asked.schema or {}).get("properties", {})) != ["age", "name"]:
            # A schema that the API cannot keep to may be asked for in words.
            if asked.schema or not re.search(r'"name.*"age|"age.*"name', asked.prompt, re.DOTALL):
                raise Refused(f"the answer's schema is not the one of a name and an age: {asked.schema}, {asked.prompt}")
        case "image" if asked.images != [IMAGE]:
            raise Refused(f"the image is another: {asked.images}")


def transcript(dialect: str, asked: Asked) -> tuple[bytes, int | None]:
    """A recorded answer, and after how many bytes the connection is cut."""
    name, cut = asked.model, None
    if m := re.fullmatch(r"cut_(\d+)", name):
        name, cut = "text", int(m[1])
    if name == "image":
        name = "text"
    path = FOLDER / dialect / (name + (".stream.sse" if asked.stream else ".answer.json"))
    if not path.is_file():
        raise Refused(f"there is no model {asked.model}", 404)
    return path.read_bytes(), cut
