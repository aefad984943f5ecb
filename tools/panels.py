"""What the dashboards show: pages of panels, each a question to Prometheus and what its answer means.

In an expression `{$run` stands for the runs that are chosen at the top of the page.  Ranges are in time on
the wall, ages of keys in emulated seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a panel shows its answer."""

    LINES = "lines"
    NUMBER = "number"
    UP = "up"
    ALARM = "alarm"
    TABLE = "table"


@dataclass(frozen=True)
class Panel:
    """One question, or several as (expression, legend)."""

    title: str
    words: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: Kind = Kind.LINES
    span: int = 12


@dataclass(frozen=True)
class Page:
    """One dashboard; `panels` by heading of their row."""

    uid: str
    title: str
    words: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def _panel(title: str, words: str, *queries: tuple[str, str], unit: str = "short") -> Panel:
    return Panel(title, words, queries, unit)


def _number(title: str, words: str, expression: str, unit: str = "short") -> Panel:
    return Panel(title, words, ((expression, ""),), unit, Kind.NUMBER, 4)


def _states(kind: Kind, title: str, words: str, expression: str, legend: str) -> Panel:
    return Panel(title, words, ((expression, legend),), kind=kind)


_LINKS_UP = _states(Kind.UP, "Links", "Which fibers make key.", "qsagin_link_up{$run}", "{{link}}")
_ALARMS = _states(
    Kind.ALARM,
    "Link alarms",
    "Loss: nothing comes through. Noise: too many errors, as when somebody listens.",
    "qsagin_link_alarm{$run}",
    "{{link}} {{cause}}",
)
_NODES_UP = _states(
    Kind.UP, "Nodes", "Which key managers report.", "qsagin_node_up{$run}", "{{node}}"
)
_CONTROLLERS_UP = _states(
    Kind.UP,
    "Controllers and manager",
    "Which of them report; the manager is silent while it solves.",
    "qsagin_controller_up{$run}",
    "{{controller}}",
)
_SPEED = _panel(
    "Emulated seconds a second",
    "How fast emulated time passes, over 15 s.",
    ("qsagin:emulated_speed:ratio15s{$run}", "{{instance}}"),
)
_LATE = _panel(
    "Key that did not come at once, or never",
    "Shares of what applications asked for in the last minute.",
    ("qsagin:key_late:ratio1m{$run}", "late or never"),
    ("qsagin:key_lapsed:ratio1m{$run}", "never"),
    unit="percentunit",
)
_RESTARTS = _panel(
    "Actors started again",
    "Lives of actors beyond their first.",
    ("sum by (instance, actor) (qsagin_actor_restarts_total{$run})", "{{actor}}"),
)

OVERVIEW = Page(
    "qsagin-overview",
    "qsagin / Overview",
    "Is the run well, what does it cost, and do applications get their keys?",
    (
        (
            "Now",
            (
                _number(
                    "Emulated time",
                    "Since the start.",
                    "qsagin_emulated_time_seconds{$run}",
                    "dtdurations",
                ),
                _number("Periods", "That have begun.", "qsagin_periods_total{$run}"),
                _number("Nodes up", "Key managers that report.", "sum(qsagin_node_up{$run})"),
                _number(
                    "Alerts",
                    "That fire now.",
                    'count(ALERTS{$run, alertstate="firing"}) or vector(0)',
                ),
                _number(
                    "Cost so far",
                    "All stages and media, less refunds, and the price of key that never came.",
                    "qsagin:cost:total{$run}",
                ),
                _number(
                    "Plan's gap",
                    "What the plan may cost too much, at most.",
                    "qsagin_plan_gap_ratio{$run}",
                    "percentunit",
                ),
            ),
        ),
        (
            "Cost and shortfall",
            (
                _panel(
                    "On-demand cost of a period",
                    "Of on-demand key and of key that never came, mean of ten minutes; and by the plan.",
                    ("qsagin:recourse_cost_per_period:mean10m{$run}", "realised"),
                    ('qsagin_planned_cost_per_period{$run, stage="recourse"}', "planned"),
                ),
                _panel(
                    "Cost by stage",
                    "Since the start, by stage and medium; the price of lost key, and of keeping key.",
                    ("qsagin_provisioning_cost_total{$run}", "{{stage}} {{medium}}"),
                    ("qsagin:shortfall_cost:total{$run}", "lost key"),
                    ("qsagin:keeping_cost:total{$run}", "keeping key"),
                ),
                _LATE,
                _panel(
                    "Key asked for and not had at once",
                    "By class of application.",
                    (
                        "sum by (application) (rate(qsagin_key_demanded_bits_total{$run}[1m]))",
                        "{{application}} asked for",
                    ),
                    (
                        "sum by (application) (rate(qsagin_key_shortfall_bits_total{$run}[1m]))",
                        "{{application}} not had",
                    ),
                    unit="bps",
                ),
                _panel(
                    "Key delivered by medium",
                    "Counted at both ends.",
                    (
                        "sum by (medium) (rate(qsagin_keys_delivered_bits_total{$run}[1m]))",
                        "{{medium}}",
                    ),
                    unit="bps",
                ),
                _SPEED,
            ),
        ),
    ),
)

NETWORK = Page(
    "qsagin-network",
    "qsagin / Network",
    "What runs, which parts of it are up, and what they carry.",
    (
        (
            "Who is there",
            (
                Panel(
                    "Runs",
                    "What is watched.",
                    (("qsagin_run_info{$run}", ""),),
                    kind=Kind.TABLE,
                ),
                _NODES_UP,
                _CONTROLLERS_UP,
                _LINKS_UP,
            ),
        ),
        (
            "What it carries",
            (
                _panel(
                    "Key delivered by node",
                    "In the last minute.",
                    (
                        "sum by (node) (rate(qsagin_keys_delivered_bits_total{$run}[1m]))",
                        "{{node}}",
                    ),
                    unit="bps",
                ),
                _panel(
                    "Key in stores by node",
                    "Key that can be delivered now.",
                    ("sum by (node) (qsagin_key_store_available_bits{$run})", "{{node}}"),
                    unit="bits",
                ),
                _panel(
                    "Wavelengths reserved",
                    "On each fiber.",
                    ("qsagin_lit_wavelengths{$run}", "{{link}}"),
                ),
                _panel(
                    "Reservations",
                    "Requests with reserved units: as planned, set up, and refused so far.",
                    ("qsagin_reservations{$run}", "{{state}}"),
                    ("qsagin_refused_reservations_total{$run}", "refusals in all"),
                ),
            ),
        ),
    ),
)

LINKS = Page(
    "qsagin-links",
    "qsagin / Links and weather",
    "What each link yields, and what the sky, satellites and UAVs do.",
    (
        (
            "Fiber",
            (
                _panel(
                    "Secret key rate of fibers",
                    "Of one wavelength, when a block was made last.",
                    (
                        'qsagin_link_secret_key_rate_bits_per_second{$run, medium="fiber"}',
                        "{{link}}",
                    ),
                    unit="bps",
                ),
                _panel(
                    "Quantum bit error ratio",
                    "Of the last block; somebody who listens raises it.",
                    ("qsagin_link_qber_ratio{$run}", "{{link}}"),
                    unit="percentunit",
                ),
                _LINKS_UP,
                _ALARMS,
            ),
        ),
        (
            "Satellites and UAVs",
            (
                _panel(
                    "Secret key rate of services",
                    "What satellites and UAVs last offered two nodes.",
                    (
                        'qsagin_link_secret_key_rate_bits_per_second{$run, medium!="fiber"}',
                        "{{link}} {{medium}}",
                    ),
                    unit="bps",
                ),
                _panel(
                    "Orders",
                    "In the last minute, by medium and outcome.",
                    ("rate(qsagin_orders_total{$run}[1m]) * 60", "{{medium}} {{outcome}}"),
                ),
                _panel("UAVs", "By state.", ("qsagin_uavs{$run}", "{{state}}")),
                _panel(
                    "Forecasts against what came",
                    "Satellite contacts, by first forecast and by what the sky was.",
                    (
                        "qsagin_satellite_forecast_total{$run}",
                        "{{forecast}} expected, {{outcome}} came",
                    ),
                ),
            ),
        ),
        (
            "Weather",
            (
                _panel(
                    "Sky cover",
                    "Satellites see nodes under a clear sky only.",
                    ("qsagin_sky_cover_ratio{$run}", "{{node}}"),
                    unit="percentunit",
                ),
                _panel(
                    "Visibility",
                    "Along the ground.",
                    ("qsagin_visibility_meters{$run}", "{{node}}"),
                    unit="lengthm",
                ),
                _panel(
                    "Wind",
                    "At the nodes.",
                    ("qsagin_wind_meters_per_second{$run}", "{{node}}"),
                    unit="velocityms",
                ),
            ),
        ),
    ),
)

_SAE_CALLS = "qsagin_key_delivery_requests_total{$run}"

STORES = Page(
    "qsagin-stores",
    "qsagin / Key stores",
    "How much key there is, and how old it is.",
    (
        (
            "Keys of requests",
            (
                _panel(
                    "Filled",
                    "Key that can be delivered, of what is reserved.",
                    ("qsagin:key_store_fill:ratio{$run}", "{{node}} for {{peer}}"),
                    unit="percentunit",
                ),
                _panel(
                    "Key that can be delivered",
                    "By node and peer.",
                    ("qsagin_key_store_available_bits{$run}", "{{node}} for {{peer}}"),
                    unit="bits",
                ),
                _panel(
                    "Room",
                    "What the stores hold at most, which is what is reserved.",
                    ("qsagin_key_store_capacity_bits{$run}", "{{node}} for {{peer}}"),
                    unit="bits",
                ),
                _panel(
                    "Age of the oldest key",
                    "In emulated time.",
                    ("qsagin:key_oldest:age_seconds{$run}", "{{node}}"),
                    unit="s",
                ),
                _panel(
                    "Key kept for a next period, and too old",
                    "A second, where keys have keys.lifetime_periods or keeping_cost.",
                    ("sum by (node) (rate(qsagin_key_kept_bits_total{$run}[1m]))", "{{node}} kept"),
                    (
                        "sum by (node) (rate(qsagin_key_expired_bits_total{$run}[1m]))",
                        "{{node}} expired",
                    ),
                    unit="bps",
                ),
            ),
        ),
        (
            "Keys of applications outside",
            (
                _panel(
                    "Calls of SAEs",
                    "A second, by method and status; 503 is too few keys.  None: nobody is served.",
                    (
                        f"sum by (method, status) (rate({_SAE_CALLS}[1m])) or vector(0)",
                        "{{method}} {{status}}",
                    ),
                ),
                _panel(
                    "Keys that wait for SAEs",
                    "Given at the other end, and not taken here yet.",
                    ("qsagin_key_delivery_held_keys{$run} or vector(0)", "{{node}}"),
                ),
            ),
        ),
        (
            "Management keys",
            (
                _panel(
                    "Management keys used",
                    "Keys that have sealed messages, since the start.",
                    ("qsagin_management_keys_used_total{$run}", "{{actor}}"),
                ),
                _panel(
                    "Management key stores",
                    "Key that the stores of a node hold for messages to come.",
                    ("qsagin_management_key_store_available_bits{$run}", "{{node}}"),
                    unit="bits",
                ),
                _panel(
                    "Management keys overdue",
                    "Pairs that had no new key when it was due.",
                    ("qsagin_management_keys_overdue{$run}", "{{actor}}"),
                ),
                _panel(
                    "Age of the oldest management key in use",
                    "In emulated time; it should not exceed the rotation.",
                    ("qsagin:management_key_oldest:age_seconds{$run}", "{{actor}}"),
                    unit="s",
                ),
            ),
        ),
    ),
)

CONTROLLERS = Page(
    "qsagin-controllers",
    "qsagin / Controllers and calls",
    "Who answers, how often, how fast, and with which errors.",
    (
        (
            "Actors",
            (
                _CONTROLLERS_UP,
                _panel(
                    "Since the last report",
                    "Time on the wall; actors report every second.",
                    ("time() - qsagin_last_report_timestamp_seconds{$run}", "{{host}}"),
                    unit="s",
                ),
                _RESTARTS,
                _panel(
                    "Messages refused",
                    "Since the start, by reason; repeats after a restart are harmless.",
                    (
                        "sum by (actor, reason) (qsagin_refused_messages_total{$run})",
                        "{{actor}}: {{reason}}",
                    ),
                ),
            ),
        ),
        (
            "Calls",
            (
                _panel(
                    "Calls",
                    "A second, by server and method.",
                    ("qsagin:rpc_handled:rate1m{$run}", "{{server}} {{method}}"),
                    unit="reqps",
                ),
                _panel(
                    "Errors",
                    "Share of calls that ended in an error.",
                    (
                        "qsagin:rpc_errors:ratio1m{$run} or qsagin:rpc_handled:rate1m{$run} * 0",
                        "{{server}}",
                    ),
                    unit="percentunit",
                ),
                _panel(
                    "Duration of calls",
                    "99 of 100 are faster.",
                    ("qsagin:rpc_duration_seconds:p99_1m{$run}", "{{server}} {{method}}"),
                    unit="s",
                ),
            ),
        ),
        (
            "Windows",
            (
                _panel(
                    "Windows run",
                    "A second.",
                    ("qsagin:windows:rate1m{$run}", "{{instance}}"),
                    unit="ops",
                ),
                _panel(
                    "Duration of windows",
                    "99 of 100 are faster; for the clock until everybody is done.",
                    ("qsagin:window_duration_seconds:p99_1m{$run}", "{{server}}"),
                    unit="s",
                ),
            ),
        ),
    ),
)

SOLVER = Page(
    "qsagin-solver",
    "qsagin / Solver",
    "The plan in force: how good it is, how long it took, and whether it comes true.",
    (
        (
            "Plan",
            (
                _panel(
                    "Gap to the proven bound",
                    "What the plan may cost too much, at most.",
                    ("qsagin_plan_gap_ratio{$run}", "{{instance}}"),
                    unit="percentunit",
                ),
                _panel(
                    "Time to solve",
                    "Of the last plan, on the wall.",
                    ("qsagin_plan_solve_duration_seconds{$run}", "{{instance}}"),
                    unit="s",
                ),
                _panel(
                    "Plans",
                    "That have come into force.",
                    ("qsagin_plans_total{$run}", "{{instance}}"),
                ),
                _panel(
                    "Expected cost of a period",
                    "By stage.",
                    ("qsagin_planned_cost_per_period{$run}", "{{stage}}"),
                ),
            ),
        ),
        (
            "Whether it comes true",
            (
                _panel(
                    "On-demand cost over plan",
                    "Mean of ten minutes; 1 is as planned.",
                    ("qsagin:recourse_over_plan:ratio10m{$run}", "{{instance}}"),
                ),
                _panel(
                    "Reservations",
                    "Requests with reserved units: as planned, set up, and refused so far.",
                    ("qsagin_reservations{$run}", "{{state}}"),
                    ("qsagin_refused_reservations_total{$run}", "refusals in all"),
                ),
                _panel(
                    "Forecasts that were wrong",
                    "Of the contacts that were promised a clear sky.",
                    ("qsagin:forecast_wrong:ratio{$run}", "{{instance}}"),
                    unit="percentunit",
                ),
            ),
        ),
    ),
)

CHAOS = Page(
    "qsagin-chaos",
    "qsagin / Chaos timeline",
    "What broke when, and what came of it: read from top to bottom.",
    (
        (
            "What broke",
            (
                _ALARMS,
                _LINKS_UP,
                _NODES_UP,
                _CONTROLLERS_UP,
                _RESTARTS,
                _panel(
                    "Messages struck",
                    "Lost, doubled, damaged or held back by the schedule, since the start.",
                    ("sum by (instance, fault) (qsagin_message_faults_total{$run})", "{{fault}}"),
                ),
            ),
        ),
        (
            "What came of it",
            (
                Panel(
                    "Alerts that fire",
                    "By name; docs/runbook.md tells what to do.",
                    (
                        (
                            'count by (alertname) (ALERTS{$run, alertstate="firing"})',
                            "{{alertname}}",
                        ),
                    ),
                ),
                _SPEED,
                _LATE,
                _panel(
                    "On-demand cost over plan",
                    "Mean of ten minutes; 1 is as planned.",
                    ("qsagin:recourse_over_plan:ratio10m{$run}", "{{instance}}"),
                ),
            ),
        ),
    ),
)

PAGES = (OVERVIEW, NETWORK, LINKS, STORES, CONTROLLERS, SOLVER, CHAOS)

# Marked on every page: (name, expression that has a series while it is so, words, colour)
ANNOTATIONS = (
    ("Link alarms", "qsagin_link_alarm{$run} == 1", "{{link}}: {{cause}}", "#D55E00"),
    ("Nodes down", "qsagin_node_up{$run} == 0", "{{node}} is down", "#CC79A7"),
    ("Controllers down", "qsagin_controller_up{$run} == 0", "{{controller}} is down", "#CC79A7"),
    (
        "Actors started again",
        "increase(qsagin_actor_restarts_total{$run}[10s]) > 0",
        "{{actor}} was started again",
        "#0072B2",
    ),
)
