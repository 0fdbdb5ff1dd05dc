"""The path of a request, a poll and a dead letter, as boxes and arrows.

The paper is white, so that the picture is legible on a dark page, too.
"""

from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 980, 560
INK, FAINT = "#1f2430", "#4a5160"
LINE = 17
"""Pixels from a line of text to the next one."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box with a title and lines of text.

    Attributes:
        at: left, top, width and height.
        title: in bold.
        lines: below the title.
        colours: of the paper and of the border.
    """

    at: tuple[int, int, int, int]
    title: str
    lines: tuple[str, ...]
    colours: tuple[str, str]

    def svg(self) -> str:
        """The box, with its text in the middle."""
        left, top, width, height = self.at
        fill, stroke = self.colours
        middle = left + width // 2
        first = top + (height - LINE * len(self.lines)) // 2 + 5
        border = (
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="6" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
        )
        return "\n".join(
            [
                border,
                _text(self.title, middle, first, "bold 15px", INK),
                *(
                    _text(line, middle, first + LINE * number, "13px", FAINT)
                    for number, line in enumerate(self.lines, 1)
                ),
            ]
        )


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow along a path of SVG's, and what it carries, as text next to it.

    Attributes:
        path: from where to where.
        label: lines of text.
        at: the middle of the first line.
    """

    path: str
    label: tuple[str, ...]
    at: tuple[int, int]

    def svg(self) -> str:
        """The arrow and its label."""
        x, y = self.at
        line = (
            f'<path d="{self.path}" fill="none" stroke="{INK}" stroke-width="1.5" '
            'marker-end="url(#head)"/>'
        )
        return "\n".join(
            [
                line,
                *(
                    _text(text, x, y + LINE * number, "13px", INK)
                    for number, text in enumerate(self.label)
                ),
            ]
        )


def _text(text: str, x: int, y: int, font: str, colour: str) -> str:
    style = f"font: {font} system-ui, sans-serif; fill: {colour}; text-anchor: middle"
    return f'<text x="{x}" y="{y}" style="{style}">{escape(text)}</text>'


_AWS = ("#f1f2f4", "#7b8494")
_FUNCTION = ("#e8ecfb", "#3f51b5")
_QUEUE = ("#fff3df", "#a86400")
_TABLE = ("#e6f4ea", "#2e7d46")

BOXES = (
    Box((20, 40, 180, 190), "CloudFormation", ("Create, Update, Delete",), _AWS),
    Box(
        (350, 40, 290, 190),
        "InstanceBundleFunction",
        (
            "admits a request,",
            "takes its next step until it waits,",
            "stores its answer, then sends it:",
            "also to a handle and the event bus",
        ),
        _FUNCTION,
    ),
    Box((790, 40, 170, 190), "EC2 and S3", ("tasks, images, objects",), _AWS),
    Box((350, 320, 130, 70), "Poll queue", ("SQS",), _QUEUE),
    Box((510, 320, 130, 70), "Ledger", ("DynamoDB",), _TABLE),
    Box((790, 320, 170, 70), "Event queue", ("SQS",), _QUEUE),
    Box((350, 470, 290, 64), "Dead letters", ("SQS",), _QUEUE),
    Box((20, 470, 200, 64), "LastResortFunction", ("the failure handler",), _FUNCTION),
)

ARROWS = (
    Arrow("M200 90 H344", ("request",), (272, 82)),
    Arrow("M350 160 H206", ("answer",), (275, 152)),
    Arrow("M640 90 H784", ("calls; one Describe", "for a batch of polls"), (714, 65)),
    Arrow("M380 230 V314", ("next", "poll"), (357, 270)),
    Arrow("M450 320 V236", ("polls",), (475, 280)),
    Arrow("M575 230 V314", ("records,", "claims"), (608, 270)),
    Arrow("M875 230 V314", ("events, by", "EventBridge"), (920, 270)),
    Arrow("M790 355 H700 V190 H646", ("a request's poll", "is due at once"), (757, 280)),
    Arrow("M415 390 V464", ("received too often",), (482, 432)),
    Arrow("M350 515 H226", (), (0, 0)),
    Arrow("M350 205 H290 V440 H190 V464", ("an event that", "always crashed"), (234, 330)),
    Arrow("M220 485 H320 V355 H344", ("resumed, if", "throttled"), (272, 462)),
    Arrow("M70 470 V236", ("else", "FAILED"), (98, 345)),
)


def draw() -> bytes:
    """The picture, as an SVG."""
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{INK}"/></marker>'
    )
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    lines = "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<defs>{head}</defs>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
            *(part.svg() for part in (*BOXES, *ARROWS)),
            "</svg>\n",
        ]
    )
    return lines.encode()
