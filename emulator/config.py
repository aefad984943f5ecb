"""Experiment files: YAML to typed, frozen configuration, with every mistake named in one line.

An experiment comes from a file or from a built-in name.  What is accepted here can be planned and
run; unknown fields, wrong types and impossible values are refused with the field and what would be
right.  Every field except `name`, `network.topology` and `demand.requests` has a default.

A history of demand is read once: what `read` returns holds its fitted law or its frequencies in its place,
so that an experiment that is written down again needs no file for it.
"""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from emulator.physics.parameters import ParameterError
from emulator.physics.skr import secret_key_rate
from emulator.topology import BUILT_IN_NAMES, Topology, TopologyError, load
from global_manager import demand as laws
from global_manager.provisioning.model import Policy, Scenario

BUILT_IN_FOLDER = Path(__file__).parent / "experiments"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Price = Annotated[int, Field(ge=0)]

MOST_UNITS = 100_000  # in one period of a history: far above what a fiber carries
Units = Annotated[int, Field(ge=0, le=MOST_UNITS)]


class Fault(BaseModel):
    """One mistake in an input: where, and what would be right."""

    field: str
    message: str


class ExperimentError(Exception):
    """An experiment file cannot be used; one fault a mistake."""

    def __init__(self, file: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(file, faults)
        self.file, self.faults = file, faults

    def __str__(self) -> str:
        return "\n".join(f"{self.file}: {fault.field}: {fault.message}" for fault in self.faults)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Capacity(StrEnum):
    """How the wavelengths of a fiber are counted."""

    BOTH_DIRECTIONS = "both-directions"
    PER_DIRECTION = "per-direction"


class Network(_Section):
    """Nodes and fibers."""

    topology: str = Field(description="a built-in name, or a file relative to the experiment file")
    link_km: Positive | None = Field(None, description="overrides every length")
    wavelengths: int = Field(80, ge=1, description="per fiber")
    capacity: Capacity = Field(
        Capacity.BOTH_DIRECTIONS, description="whether both directions share the wavelengths"
    )


class Poisson(_Section):
    """Poisson demand, in units a request and period."""

    mean_units: Positive


class NegativeBinomial(_Section):
    """Negative binomial demand, in units a request and period: Poisson with a mean that itself varies."""

    mean_units: Positive
    variance: Positive = Field(description="in units squared; greater than mean_units")

    @field_validator("variance")
    @classmethod
    def _overdispersed(cls, variance: float, info: ValidationInfo) -> float:
        mean_units = info.data.get("mean_units", 0.0)
        if variance <= mean_units:
            raise ValueError(
                f"must be greater than mean_units, {mean_units:g}; if they are equal, use poisson"
            )
        return variance


class Empirical(_Section):
    """Demand as often as it was seen."""

    counts: dict[Units, Annotated[int, Field(ge=1)]] = Field(
        min_length=1, description="by units, the number of periods in which so many were needed"
    )


class Fit(StrEnum):
    """What becomes of a history."""

    BEST = "best"
    POISSON = "poisson"
    NEGATIVE_BINOMIAL = "negative-binomial"
    EMPIRICAL = "empirical"


class History(_Section):
    """Demand that was seen: a CSV file with one column, `units`, and one row a period."""

    file: str = Field(description="relative to the experiment file")
    fit: Fit = Field(Fit.BEST, description="best: Poisson or negative binomial, by AIC")


class FittedFrom(_Section):
    """Where a distribution comes from, and how well it fits; for the reader only.

    Written in place of a history.  See `Fitted` in `global_manager/demand.py` for the statistics.
    """

    file: str
    periods: int
    log_likelihood: float | None = None
    aic: float | None = None
    dispersion_index: float | None = Field(None, description="variance / mean of the history")
    chi_square: float | None = None
    degrees_of_freedom: int | None = None
    p_value: float | None = Field(None, description="small: a poor fit")


_LAWS = ("poisson", "negative-binomial", "empirical", "history")


class Distribution(_Section):
    """The distribution of demand; exactly one is named."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [law]} for law in _LAWS]})

    poisson: Poisson | None = None
    negative_binomial: NegativeBinomial | None = Field(None, alias="negative-binomial")
    empirical: Empirical | None = None
    history: History | None = None
    fitted_from: FittedFrom | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Distribution:
        values = (self.poisson, self.negative_binomial, self.empirical, self.history)
        found = [law for law, value in zip(_LAWS, values, strict=True) if value is not None]
        if len(found) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(_LAWS)}, not {' and '.join(found) or 'none'}"
            )
        return self

    def scenarios(self, count: int) -> tuple[Scenario, ...]:
        """Return the scenarios of 0 .. count-1 units.  A history must have been read before."""
        if self.poisson:
            return laws.poisson_scenarios(self.poisson.mean_units, count)
        if self.negative_binomial:
            law = self.negative_binomial
            return laws.negative_binomial_scenarios(law.mean_units, law.variance, count)
        return laws.truncated_scenarios(laws.empirical_scenarios(self._counts), count)

    def tail_mass(self, count: int) -> float:
        """Return the chance of `count` units or more, which `scenarios` leaves out."""
        if self.poisson:
            return laws.tail_mass(self.poisson.mean_units, self.poisson.mean_units, count)
        if self.negative_binomial:
            law = self.negative_binomial
            return laws.tail_mass(law.mean_units, law.variance, count)
        counts = self._counts
        beyond = sum(periods for units, periods in counts.items() if units >= count)
        return beyond / sum(counts.values())

    @property
    def _counts(self) -> dict[int, int]:
        if self.empirical is None:
            raise ValueError("demand.distribution.history: has not been read; use `read`")
        return self.empirical.counts


class RequestItem(_Section):
    """One security request, written out."""

    id: str = Field(min_length=1)
    application: str = Field("application", alias="class")
    source: str
    target: str


class Demand(_Section):
    """Who needs key, how much, and for how long."""

    periods: int = Field(60, ge=1, description="provisioning periods to emulate")
    period_s: Positive = 60.0
    scenarios: int = Field(10, ge=1, description="demand is 0 .. scenarios-1 units")
    reduce_to: int | None = Field(
        None, ge=1, description="the number of scenarios kept, chosen to be nearest to all"
    )
    distribution: Distribution = Distribution(poisson=Poisson(mean_units=10 / 3))
    correlated: bool = Field(True, description="one draw a period for all requests, or one each")
    requests: dict[str, Annotated[int, Field(ge=0)]] | list[RequestItem]


class PriceTable(_Section):
    """The paper's table: reserved units by 80-km span, on-demand units by hop."""

    reserved_transmitter: Price = 1500
    reserved_receiver: Price = 2250
    reserved_local_key_manager: Price = 1200
    reserved_security_infrastructure: Price = 150
    reserved_mux_demux: Price = 300
    reserved_fiber_km: Price = 1
    on_demand_transmitter: Price = 6000
    on_demand_receiver: Price = 9000
    on_demand_secret_key_buffer: Price = 3000
    on_demand_security_infrastructure: Price = 500
    on_demand_uav: Price = 20
    on_demand_satellite: Price = 20000


class PoolOptions(_Section):
    """What all requests together can buy in a period, as far as the plan knows; None: no limit."""

    satellite_units: int | None = Field(None, ge=0)
    uav_units: int | None = Field(None, ge=0)
    shortfall_cost: Price = Field(description="of a unit that nobody can bring")


class PlanOptions(_Section):
    """How the first stage is decided."""

    policy: Policy = Policy.STOCHASTIC
    gap: float = Field(1e-3, gt=0, lt=1, description="relative gap at which solving may stop")
    expected_value_rounding: Literal["floor", "nearest", "up"] = "floor"
    replan: bool = Field(True, description="plan again on lost fibers; the stochastic policy only")
    look_every_periods: int = Field(0, ge=0, description="compare demand with the plan; 0: never")
    drift_sigmas: Positive = Field(3.0, description="standard errors that count as a drift")
    pools: PoolOptions | None = Field(None, description="limits that requests share")


class Keys(_Section):
    """What a unit of key is."""

    unit_bits: int = Field(256, ge=8, multiple_of=8, description="one unit is one key of this size")
    qber_limit: float = Field(0.11, gt=0, lt=0.5, description="a noisier block is discarded")


class FiberOptions(_Section):
    """The quantum devices at both ends of every span of at most `span_km`."""

    protocol: str = "bb84"
    device: str | None = None
    span_km: Positive = Field(80.0, description="trusted repeaters stand at most so far apart")
    monitor_s: Positive = Field(10.0, description="how often the controller looks at all fibers")


class Walker(_Section):
    """A Walker delta pattern i: T/P/F of circular orbits."""

    satellites: int = Field(24, ge=1)
    planes: int = Field(6, ge=1)
    phasing: int = Field(1, ge=0)
    inclination_deg: float = Field(53.0, ge=0, le=180)
    altitude_km: float = Field(550.0, ge=200, le=2000)

    @model_validator(mode="after")
    def _even(self) -> Walker:
        if self.satellites % self.planes:
            raise ValueError(
                f"satellites: {self.satellites} do not fill {self.planes} planes evenly"
            )
        if self.phasing >= self.planes:
            raise ValueError(f"phasing: must be less than planes, not {self.phasing}")
        return self


class Orbits(_Section):
    """Satellites computed from orbits, night and clouds; nodes need coordinates."""

    walker: Walker = Walker()
    epoch: datetime = Field(
        datetime(2026, 1, 1, tzinfo=UTC), description="emulated second 0, with a time zone"
    )
    min_elevation_deg: float = Field(20.0, ge=0, lt=90)
    max_sun_altitude_deg: float = Field(-12.0, ge=-90, le=0, description="darker counts as night")
    max_wait_s: Positive = Field(600.0, description="an order waits at most so long for its passes")
    device: Literal["micius-2017"] = "micius-2017"
    clouds: bool = Field(True, description="weather by the climate of each site, or always clear")

    @field_validator("epoch")
    @classmethod
    def _with_zone(cls, epoch: datetime) -> datetime:
        if epoch.tzinfo is None:
            raise ValueError(f"needs a time zone, like {epoch.isoformat()}Z")
        return epoch.astimezone(UTC)


class Fleet(_Section):
    """UAVs that can be out at a time; see `controllers.fleet`."""

    uavs: int = Field(ge=0)
    endurance_s: Positive = 2400.0
    turn_s: float = Field(1200.0, ge=0, description="from landing to ready")
    uavs_per_order: int = Field(1, ge=1)


class SatelliteOptions(_Section):
    """What a satellite service offers: computed from `orbits`, or else assumed."""

    orbits: Orbits | None = None

    probability: Fraction = Field(1.0, description="of being usable for a pair in a period")
    skr_bps: Positive = 1_000.0
    qber: Fraction = 0.03
    setup_s: float = Field(10.0, ge=0, description="from an order to the first key")


class UavOptions(_Section):
    """What a UAV service offers; its key rate is assumed, not computed from flights."""

    fleet: Fleet | None = Field(None, description="without one there are always enough UAVs")

    skr_bps: Positive = 10_000.0
    qber: Fraction = 0.03
    setup_s: float = Field(20.0, ge=0, description="from an order to the first key")


class FiberCutEvent(_Section):
    """A fiber that carries nothing for a while, or for good."""

    kind: Literal["fiber-cut"]
    link: tuple[str, str]
    at_s: float = Field(ge=0, description="emulated time")
    until_s: Positive | None = None


class DemandShiftEvent(_Section):
    """From a period on, applications need another mean; the plan is not told."""

    kind: Literal["demand-shift"]
    from_period: int = Field(ge=0)
    mean_units: Positive


FaultEvent = Annotated[FiberCutEvent | DemandShiftEvent, Field(discriminator="kind")]


class Clock(_Section):
    """Emulated time."""

    window_s: Positive = Field(1.0, description="the least latency of a message")


class Experiment(_Section):
    """A whole experiment."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    description: str = ""
    seed: int = Field(1, ge=0)
    network: Network
    demand: Demand
    prices: Literal["paper"] | PriceTable = "paper"
    plan: PlanOptions = PlanOptions()
    keys: Keys = Keys()
    fiber: FiberOptions = FiberOptions()
    satellite: SatelliteOptions = SatelliteOptions()
    uav: UavOptions = UavOptions()
    faults: list[FaultEvent] = Field(default_factory=list)
    clock: Clock = Clock()

    @field_validator("fiber")
    @classmethod
    def _known_devices(cls, fiber: FiberOptions) -> FiberOptions:
        try:
            secret_key_rate(fiber.protocol, 1.0, fiber.device)
        except ParameterError as error:
            raise ValueError(str(error)) from error
        return fiber

    @model_validator(mode="after")
    def _whole_windows(self) -> Experiment:
        windows = self.demand.period_s / self.clock.window_s
        if abs(windows - round(windows)) > 1e-9:
            raise ValueError(
                f"demand.period_s: must be a whole number of windows of {self.clock.window_s:g} s, "
                f"not {self.demand.period_s:g}"
            )
        return self

    @model_validator(mode="after")
    def _pools_fit(self) -> Experiment:
        if self.plan.pools is not None and not self.demand.correlated:
            raise ValueError("plan.pools: needs demand.correlated to be true")
        return self

    @property
    def price_table(self) -> PriceTable:
        """The prices, by name or written out."""
        return PriceTable() if self.prices == "paper" else self.prices


def built_in_names() -> list[str]:
    """Return the names of the built-in experiments."""
    return sorted(path.stem for path in BUILT_IN_FOLDER.glob("*.yaml"))


def read(source: str, seed: int | None = None) -> tuple[Experiment, Topology]:
    """Return the experiment of a file or built-in name, and its network.

    `seed` replaces the seed of the file.  Raises `ExperimentError`.
    """
    path = _path(source)
    fields = _yaml(path)
    if seed is not None:
        fields["seed"] = seed
    try:
        experiment = Experiment.model_validate(fields)
    except ValidationError as error:
        raise ExperimentError(str(path), _faults(error)) from error
    experiment = _with_history_read(experiment, path)
    topology = _topology(experiment, path)
    faults = [
        *_scenario_faults(experiment.demand),
        *_request_faults(experiment, topology),
        *_time_faults(experiment, topology),
    ]
    faults += _event_faults(experiment, topology)
    faults += _site_faults(experiment, topology)
    if faults:
        raise ExperimentError(str(path), tuple(faults))
    return experiment, topology


def schema() -> dict[str, Any]:
    """Return the JSON schema of experiment files."""
    return Experiment.model_json_schema()


def lead_windows(topology: Topology) -> int:
    """Return the windows between the making of keys and the period that may use them.

    Enough for a key to cross every node of the network once, and to be confirmed.
    """
    return min(len(topology.nodes), 40) + 4


def _path(source: str) -> Path:
    if source in built_in_names():
        return BUILT_IN_FOLDER / f"{source}.yaml"
    path = Path(source)
    if not path.is_file():
        known = ", ".join(built_in_names())
        message = f"no such file, nor a built-in experiment; built-in are {known}"
        raise ExperimentError(source, (Fault(field="experiment", message=message),))
    return path


def _yaml(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())
        fault = Fault(field="file", message=f"is not readable YAML: {words}")
        raise ExperimentError(str(path), (fault,)) from error
    if not isinstance(fields, dict):
        fault = Fault(field="file", message="must be a mapping of fields; see `qsagin schema`")
        raise ExperimentError(str(path), (fault,))
    return fields


def _faults(error: ValidationError) -> tuple[Fault, ...]:
    return tuple(_fault(item["loc"], item["msg"], item["type"]) for item in error.errors())


def _fault(location: tuple[int | str, ...], message: str, kind: str) -> Fault:
    field = ".".join(str(part) for part in location) or "file"
    words = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        words = "unknown field; remove it or correct its name"
    if kind == "missing":
        words = "is required"
    head, colon, tail = words.partition(": ")
    if field == "file" and colon and " " not in head:
        field, words = head, tail
    return Fault(field=field, message=words)


def _topology(experiment: Experiment, path: Path) -> Topology:
    name = experiment.network.topology
    source = name if name in BUILT_IN_NAMES else str(path.parent / name)
    try:
        return load(source, experiment.network.link_km)
    except TopologyError as error:
        fault = Fault(field="network.topology", message=str(error))
        raise ExperimentError(str(path), (fault,)) from error


def _with_history_read(experiment: Experiment, path: Path) -> Experiment:
    """Return the experiment with what its history says in place of the history."""
    demand = experiment.demand
    history = demand.distribution.history
    if history is None:
        return experiment
    counts = _seen(path, history.file)
    try:
        distribution = _distribution(history, counts)
    except laws.DemandError as error:
        raise _history_error(path, str(error)) from error
    changed = demand.model_copy(update={"distribution": distribution})
    return experiment.model_copy(update={"demand": changed})


def _distribution(history: History, counts: Counter[int]) -> Distribution:
    source: dict[str, Any] = {"file": history.file, "periods": counts.total()}
    law: dict[str, Any]
    if history.fit is Fit.EMPIRICAL:
        law = {"empirical": {"counts": dict(sorted(counts.items()))}}
    else:
        wanted = None if history.fit is Fit.BEST else laws.Law(history.fit.value)
        fitted = laws.fit(counts, wanted)
        law = {"poisson": {"mean_units": fitted.mean_units}}
        if fitted.law is laws.Law.NEGATIVE_BINOMIAL:
            parameters = {"mean_units": fitted.mean_units, "variance": fitted.variance_units2}
            law = {"negative-binomial": parameters}
        names = FittedFrom.model_fields.keys() - source.keys()
        source |= {name: getattr(fitted, name) for name in names}
    return Distribution.model_validate({**law, "fitted_from": source})


def _seen(path: Path, file: str) -> Counter[int]:
    """Return in how many periods of a history file each number of units was needed."""
    try:
        text = (path.parent / file).read_text(encoding="utf-8-sig")
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    except (OSError, ValueError, csv.Error) as error:
        words = " ".join(str(error).split())
        raise _history_error(path, f"{file} is not a readable CSV file: {words}") from error
    if not rows or rows[0] != ["units"]:
        found = ",".join(rows[0])[:40] if rows else ""
        problem = f"{file}: row 1 must be the header `units`, one column only, not `{found}`"
        raise _history_error(path, problem)
    cells = [(number, ",".join(row)) for number, row in enumerate(rows[1:], 2) if any(row)]
    wrong = [f"row {number} (`{cell[:20]}`)" for number, cell in cells if not _is_units(cell)]
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        right = f"must be whole units from 0 to {MOST_UNITS}"
        raise _history_error(path, f"{file}: {', '.join(wrong[:10])}{more} {right}")
    if not cells:
        raise _history_error(path, f"{file} has no rows; write one row a period")
    return Counter(int(cell) for _, cell in cells)


def _is_units(cell: str) -> bool:
    return cell.isascii() and cell.isdigit() and len(cell) <= 20 and int(cell) <= MOST_UNITS


def _history_error(path: Path, problem: str) -> ExperimentError:
    fault = Fault(field="demand.distribution.history", message=problem)
    return ExperimentError(str(path), (fault,))


def _scenario_faults(demand: Demand) -> list[Fault]:
    try:
        demand.distribution.scenarios(demand.scenarios)
    except laws.DemandParameterError as error:  # all demand that was seen is cut off
        message = f"must be {error.right}, not {error.value:g}"
        return [Fault(field="demand.scenarios", message=message)]
    return []


def _request_faults(experiment: Experiment, topology: Topology) -> list[Fault]:
    requests, names = experiment.demand.requests, {node.name for node in topology.nodes}
    if isinstance(requests, dict):
        if sum(requests.values()) == 0:
            return [Fault(field="demand.requests", message="at least one request is needed")]
        return []
    faults, seen = [], set()
    for place, item in enumerate(requests):
        field = f"demand.requests.{place}"
        if item.id in seen:
            faults.append(Fault(field=f"{field}.id", message=f"{item.id} is used twice"))
        seen.add(item.id)
        for end, node in (("source", item.source), ("target", item.target)):
            if node not in names:
                faults.append(
                    Fault(field=f"{field}.{end}", message=f"no node {node} in the network")
                )
        if item.source == item.target:
            faults.append(Fault(field=f"{field}.target", message="must differ from the source"))
    if not requests:
        faults.append(Fault(field="demand.requests", message="at least one request is needed"))
    return faults


def _event_faults(experiment: Experiment, topology: Topology) -> list[Fault]:
    links = {frozenset((link.a, link.b)) for link in topology.links}
    faults = []
    for place, event in enumerate(experiment.faults):
        if not isinstance(event, FiberCutEvent):
            continue
        field = f"faults.{place}"
        if frozenset(event.link) not in links:
            message = f"no link {'-'.join(event.link)} in the network"
            faults.append(Fault(field=f"{field}.link", message=message))
        if event.until_s is not None and event.until_s <= event.at_s:
            faults.append(Fault(field=f"{field}.until_s", message="must be after at_s"))
    return faults


def _site_faults(experiment: Experiment, topology: Topology) -> list[Fault]:
    faults = []
    lost = [node.name for node in topology.nodes if node.lat_deg is None]
    if experiment.satellite.orbits is not None and lost:
        message = f"needs coordinates (lat, lon) of every node; {', '.join(lost[:5])} has none"
        faults.append(Fault(field="satellite.orbits", message=message))
    fleet, deploy_s = experiment.uav.fleet, experiment.uav.setup_s
    if fleet is not None and fleet.endurance_s <= 2 * deploy_s:
        message = f"must exceed twice uav.setup_s ({deploy_s:g} s), the way out and back"
        faults.append(Fault(field="uav.fleet.endurance_s", message=message))
    return faults


def _time_faults(experiment: Experiment, topology: Topology) -> list[Fault]:
    windows = experiment.demand.period_s / experiment.clock.window_s
    needed = lead_windows(topology) + 2
    if windows >= needed:
        return []
    message = (
        f"a period must hold at least {needed} windows here, so at most "
        f"{experiment.demand.period_s / needed:g} s"
    )
    return [Fault(field="clock.window_s", message=message)]
