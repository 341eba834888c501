"""The messages of a federation, each with its typed fields; FedML's `Message` is their envelope.

A silo is a process that holds some of the clients. From silo to server: hello, ready, answer,
failed. From server to silo: invite, welcome, refused, train, collect, bye. Both ways: state, alive.
`lost` and `rejected` are what a transport tells its own process.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from algorithms.algorithm import State
from fednlp.engines.fedml.codec import BadFrame, decode, encode
from fednlp.engines.fedml.library import import_fedml
from fednlp.local_training import Work

Message: Any = import_fedml("core.distributed.communication.message")[0].Message
CONNECTED: Any = import_fedml("core.distributed.communication.constants")[
    0
].CommunicationConstants.MSG_TYPE_CONNECTION_IS_READY

Number = Annotated[int, Field(ge=-1, le=2**53)]
MOST_TEXT = 4000
Text = Annotated[str, Field(max_length=MOST_TEXT)]


def _hexadecimal(text: str) -> str:
    try:
        float.fromhex(text)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    return text


HexFloat = Annotated[str, Field(max_length=40), AfterValidator(_hexadecimal)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Hello(Body):
    """name: host and process number."""

    name: Text


class Invite(Body):
    """A run begins: its id, and the seed that the configuration has in it."""

    run: Text
    seed: Number


class Ready(Body):
    """facts: what must be equal on both sides (`handshake.facts`)."""

    run: Text
    facts: dict[str, Text]


class Welcome(Body):
    run: Text


class Refused(Body):
    """differences: a line each."""

    differences: list[Text]


class Train(Body):
    """One client of a round (from 0); the tensors are what the method's `download` gave.

    state: the round that left the client's state as it is now; -1: it never took part.
    keep: rounds whose states of this client the server may ask for again.
    """

    run: Text
    round: Number
    client: Number
    state: Number
    keep: list[Number]


class Answer(Body):
    """The client's upload. seconds: of its training. problem: what is not finite, in words.

    loss_sum, correction_sum: hexadecimal floats, which keep their bits and may be no numbers.
    """

    run: Text
    round: Number
    client: Number
    examples: Number
    steps: Number
    real_tokens: Number
    padded_tokens: Number
    loss_sum: HexFloat
    correction_sum: HexFloat
    seconds: Annotated[float, Field(ge=0)]
    problem: Text | None

    @classmethod
    def of(cls, asked: Train, work: Work, seconds: float, problem: str | None) -> Answer:
        values: dict[str, Any] = vars(work)
        values = {k: v.hex() if isinstance(v, float) else v for k, v in values.items()}
        place: dict[str, Any] = asked.model_dump(include={"run", "round", "client"})
        return cls(**place, **values, seconds=seconds, problem=problem)

    @property
    def work(self) -> Work:
        counts = self.examples, self.steps, self.real_tokens, self.padded_tokens
        return Work(*counts, float.fromhex(self.loss_sum), float.fromhex(self.correction_sum))


class Failed(Body):
    """A client that could not be trained, and why."""

    run: Text
    round: Number
    client: Number
    why: Text


class Collect(Body):
    """Asks for the state that a round left."""

    run: Text
    client: Number
    round: Number


class ClientState(Body):
    """The tensors are the state after that round; `why` tells why there is none.

    A silo sends what it was asked to; the server sends what its run folder has of earlier rounds.
    """

    run: Text
    client: Number
    round: Number
    why: Text | None


class Alive(Body):
    """The sender is there, whatever it does."""


class Bye(Body):
    """The server ends. why: an error's line, if it was one."""

    why: Text | None = None


class Lost(Body):
    """The connection to the sender is gone."""

    why: Text


class Rejected(Body):
    """Something came from the sender that is no message of ours."""

    why: Text


KINDS: dict[str, type[Body]] = {
    "hello": Hello,
    "invite": Invite,
    "ready": Ready,
    "welcome": Welcome,
    "refused": Refused,
    "train": Train,
    "answer": Answer,
    "failed": Failed,
    "collect": Collect,
    "state": ClientState,
    "alive": Alive,
    "bye": Bye,
}
_INSIDE: dict[str, type[Body]] = {"lost": Lost, "rejected": Rejected}
_NAMES = {body: kind for kind, body in (KINDS | _INSIDE).items()}


def message(body: Body, sender: int, receiver: int, tensors: State | None = None) -> Any:
    """A FedML `Message` that holds `body` and `tensors`."""
    made = Message(_NAMES[type(body)], sender, receiver)
    made.add_params("body", body)
    made.add_params(Message.MSG_ARG_KEY_MODEL_PARAMS, tensors or {})
    return made


def body_of(message: Any) -> Any:
    return message.get("body")


def tensors_of(message: Any) -> State:
    return message.get(Message.MSG_ARG_KEY_MODEL_PARAMS)


def pack(message: Any) -> bytes:
    """The frame of a message. The ends of a connection are known to whoever has one."""
    fields = {"kind": message.get_type(), **body_of(message).model_dump()}
    return encode(fields, tensors_of(message))


def unpack(frame: bytes | bytearray, most: int, sender: int, receiver: int) -> Any:
    """The message of a frame of at most `most` bytes.

    Raises:
        BadFrame: it is none.
    """
    fields, tensors = decode(frame, most)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadFrame(f"a message of unknown kind {str(kind)[:40]!r}")
    try:
        body = KINDS[kind].model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadFrame(f"a message '{kind}' whose {place}: {first['msg'].lower()}"[:200]) from None
    return message(body, sender, receiver, tensors)
