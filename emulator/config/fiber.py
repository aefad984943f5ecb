"""The fiber section of an experiment file: what stands at the ends of a fiber, and along it.

A link is of one kind.  *trusted*: spans of at most `span_km` with a trusted repeater between each two.
*untrusted*: both ends send to a relay that measures and need not be trusted (MDI), wherever it stands.
*quantum-router*: routers with memories swap entanglement between the ends.  What is not said for a link
is as the topology file says (`kind`), or else as `repeaters`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from emulator.config.section import MOST_S, Length, Parameters, Seconds, Section
from emulator.input_checks import ParameterError
from emulator.physics import raman
from emulator.physics.skr import block_field, secret_key_rate


class LinkKind(StrEnum):
    """What stands between the ends of a fiber link."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    QUANTUM_ROUTER = "quantum-router"


class Wavelength(StrEnum):
    """What a wavelength of a reservation brings in a period.

    *unit*: one unit of key, which is how the paper counts.  *key-rate*: as many whole units as its rate
    makes in a period, on a path those of the weakest link.
    """

    UNIT = "unit"
    KEY_RATE = "key-rate"


class Devices(Section):
    """A device preset of `qsagin skr`, and parameters to replace in it (its --set)."""

    device: str | None = None
    parameters: Parameters = Field(default_factory=dict)


class UntrustedDevices(Devices):
    """Those of an MDI relay and its senders, with finite or endless blocks."""

    protocol: Literal["mdi", "mdi-finite"] = "mdi-finite"


class Coexistence(Section):
    """Classical channels in the fibers of quantum channels; see `physics.raman`."""

    launch_dbm: float = Field(0.0, ge=-100, le=40, description="of one channel, into the fiber")
    channels: int = Field(1, ge=0, le=10_000, description="with both: in each direction")
    direction: raman.Direction = Field(
        raman.Direction.FORWARD, description="seen from the end of the link that is named first"
    )
    filter_nm: float = Field(0.8, ge=1e-6, le=100, description="of the quantum receiver")
    gate_s: float = Field(1e-9, ge=1e-13, le=1, description="how long detectors listen for a pulse")
    band: raman.Band = Field(raman.Band.C, description="of the quantum channel")
    mux_db: float = Field(
        0.5, ge=0, le=100, description="loss of one multiplexer, one at either end"
    )
    roadm_db: float = Field(0.0, ge=0, le=1_000, description="loss of optical nodes on the way")
    classical_db_per_km: float = Field(0.2, ge=1e-3, le=100)
    raman_per_km_nm: float | None = Field(
        None, ge=0, lt=1, description="scattered into the quantum channel; None: by the band"
    )

    def light(self) -> raman.Coexistence:
        """Return the same as physics has it."""
        return raman.Coexistence(**self.model_dump())

    def changed(self, special: Coexistence) -> Coexistence:
        """Return the same with what is given for one link."""
        given = {name: getattr(special, name) for name in special.model_fields_set}
        return self.model_copy(update=given)


class FiberLink(Section):
    """What is special about one link; end `a` of a parameter's name is the one named first."""

    link: tuple[str, str]
    kind: LinkKind | None = None
    parameters: Parameters = Field(
        default_factory=dict, description="replaces parameters of the devices of its kind"
    )
    coexistence: Coexistence | Literal["none"] | None = Field(
        None, description="replaces fields of those of all links; none: a fiber of its own"
    )


class FiberOptions(Section):
    """The quantum devices of all links, and where links differ."""

    protocol: str = Field("bb84", description="of the spans between trusted repeaters")
    device: str | None = None
    span_km: Length = Field(80.0, description="the most between repeaters or routers")
    monitor_s: float = Field(
        10.0, ge=0.001, le=MOST_S, description="how often the controller looks at all fibers"
    )
    wait_to_restore_s: Seconds = Field(
        60.0, description="how long a fiber that was down must be good before it is up"
    )
    wavelength: Wavelength = Field(
        Wavelength.UNIT,
        description="what one brings in a period: one unit, or as many as its key rate makes",
    )
    block_bits: float | None = Field(
        None,
        ge=1,
        le=1e15,
        description="sifted bits (GG02: symbols) of one block where keys are finite; None: by the device",
    )
    repeaters: LinkKind = Field(LinkKind.TRUSTED, description="the kind of links not named below")
    untrusted: UntrustedDevices = Field(
        UntrustedDevices(), description="of links with an untrusted relay"
    )
    quantum_router: Devices = Field(Devices(), description="of links with quantum routers")
    coexistence: Coexistence | None = Field(
        None, description="classical channels in all fibers; None: quantum channels have their own"
    )
    links: list[FiberLink] = Field(default_factory=list)

    @model_validator(mode="after")
    def _known_devices(self) -> FiberOptions:
        for kind in LinkKind:
            protocol, devices = self.devices_of(kind)
            try:
                secret_key_rate(protocol, 1.0, devices.device, devices.parameters)
            except ParameterError as error:
                where = "" if kind is LinkKind.TRUSTED else f"{kind.name.lower()}: "
                raise ValueError(f"{where}{error}") from error
        if self.block_bits is not None and not any(map(self._blocks_of, LinkKind)):
            raise ValueError("block_bits: no protocol here has blocks; those of finite keys have")
        return self

    def light_of(self, special: FiberLink | None) -> raman.Coexistence | None:
        """Return the classical channels of a link, of which something special may be said."""
        given = special and special.coexistence
        if given == "none" or (given is None and self.coexistence is None):
            return None
        usual = self.coexistence or Coexistence()
        return (usual.changed(given) if isinstance(given, Coexistence) else usual).light()

    def devices_of(self, kind: LinkKind) -> tuple[str, Devices]:
        """Return the protocol and the devices of a kind of link, with the size of their blocks."""
        protocol, devices = self._named_for(kind)
        parameters = self._blocks_of(kind) | devices.parameters
        return protocol, Devices(device=devices.device, parameters=parameters)

    def _blocks_of(self, kind: LinkKind) -> dict[str, float]:
        """Return the size of blocks as a parameter; nothing where they are endless or as usual."""
        field = block_field(self._named_for(kind)[0])
        return {field: self.block_bits} if field and self.block_bits is not None else {}

    def _named_for(self, kind: LinkKind) -> tuple[str, Devices]:
        match kind:
            case LinkKind.TRUSTED:
                return self.protocol, Devices(device=self.device)
            case LinkKind.UNTRUSTED:
                return self.untrusted.protocol, self.untrusted
            case LinkKind.QUANTUM_ROUTER:
                return "router", self.quantum_router
