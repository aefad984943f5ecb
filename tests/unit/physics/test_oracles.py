"""Key rates against packages that others wrote; each test needs its package installed.

`qkd` 0.2 counts a photon and a dark count in one gate once where Ma et al. 2005 add them: their
gains differ from ours by the product, at most 1e-5 of the gain here.
"""

import math
from dataclasses import replace

import pytest

from emulator.physics import bb84, bb84_finite, bbm92, gg02, mdi
from emulator.physics.devices import (
    BB84_FINITE_DEVICES,
    BBM92_DEVICES,
    GYS,
    LODEWYCK,
    MDI_DEVICES,
    ZHANG,
)

ETAS = [1.0, 0.3, 0.03, 0.003]


@pytest.mark.parametrize("eta", ETAS)
def test_decoy_gains_and_bounds_agree_with_qkd(eta):
    core = pytest.importorskip("qkd._core")
    setup = replace(GYS.setup, vacuum_photons=1e-3)
    y0, e_d, total = setup.background_yield, setup.misalignment, eta * setup.receiver_efficiency
    photons = (setup.signal_photons, setup.decoy_photons, setup.vacuum_photons)
    ours = [bb84.clicks(setup, eta, mu) for mu in photons]
    theirs = [core.decoy_gain(mu, total, y0, e_d) for mu in photons]

    for click, (gain, qber) in zip(ours, theirs, strict=True):
        assert click.gain == pytest.approx(gain, rel=1e-5)
        assert click.qber == pytest.approx(qber, rel=1e-5)
    observed = [number for click in ours for number in (click.gain, click.qber)]
    yield_, error, _ = core.decoy_bounds(*photons, *observed)
    single = bb84.two_decoy_bounds(setup, eta)
    assert (single.yield_, single.error) == pytest.approx((yield_, error), rel=1e-6)


@pytest.mark.parametrize("block_bits", [1e6, 1e8, 1e10])
@pytest.mark.parametrize("eta", [1.0, 0.1, 0.02])
def test_finite_decoy_keys_agree_with_qkd(block_bits, eta):
    core = pytest.importorskip("qkd._core")
    setup = replace(BB84_FINITE_DEVICES["gys"].setup, block_bits=block_bits)
    photons = (setup.signal_photons, setup.decoy_photons, setup.vacuum_photons)
    block = bb84_finite.expected_block(setup, eta, photons, (0.4, 0.4, 0.2))
    arguments = (*photons, block.fractions)
    s0, s1 = core.decoy_counts(*arguments, block.key.clicks, 1e-9 / 21)
    _, s1_test = core.decoy_counts(*arguments, block.test.clicks, 1e-9 / 21)
    v1 = core.decoy_errors(*arguments, block.test.errors, 1e-9 / 21)
    phase = core.bb84_phase(v1, s1_test, s1, 1e-9)
    sifted, wrong = sum(block.key.clicks), sum(block.key.errors)
    theirs = core.bb84_length(s0, s1, phase, sifted, wrong / sifted, 1.22, 1e-9, 1e-15)

    ours = bb84_finite.key_bits(block, 1.22, 1e-9, 1e-15)
    fluctuation = math.sqrt(sum(block.test.errors) / 2 * math.log(21e9))
    if block.test.errors[2] > fluctuation:
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1)
    else:  # ours knows that no count lies below zero
        assert ours >= theirs - 1


@pytest.mark.parametrize("eta", ETAS)
def test_mdi_gains_agree_with_qkd(eta):
    core = pytest.importorskip("qkd._core")
    setup = MDI_DEVICES["lo-curty-qi"].setup
    arms = (0.145 * eta, 0.145 * eta / 2)
    ours = mdi.gains(setup, *arms)
    arguments = (0.5, 0.5, *arms, setup.dark_probability, setup.misalignment)

    assert (ours.z_gain, ours.z_qber) == pytest.approx(core.mdi_rect(*arguments), rel=1e-6)
    assert (ours.x_gain, ours.x_qber) == pytest.approx(core.mdi_diag(*arguments), rel=1e-6)
    assert mdi.single_pairs(setup, *arms) == pytest.approx(
        core.mdi_yield(*arms, setup.dark_probability, setup.misalignment), rel=1e-9
    )


@pytest.mark.parametrize("heterodyne", [False, True])
@pytest.mark.parametrize("setup", [LODEWYCK.setup, ZHANG.setup])
@pytest.mark.parametrize("eta", [0.9, 0.302, 0.05])
def test_gaussian_informations_agree_with_qkd(setup, eta, heterodyne):
    core = pytest.importorskip("qkd._core")
    setup = replace(setup, heterodyne=heterodyne)
    shared, leaked, _ = core.cv_rate(
        setup.modulation_variance,
        eta,
        setup.excess_noise,
        setup.detector_efficiency,
        setup.electronic_noise,
        setup.reconciliation_efficiency,
        not heterodyne,
        True,
    )
    assert gg02.mutual_information(setup, eta) == pytest.approx(shared, rel=1e-6)
    assert gg02.holevo_information(setup, eta) == pytest.approx(leaked, rel=1e-6)


@pytest.mark.parametrize("eta", ETAS)
def test_pairs_agree_with_qkd(eta):
    core = pytest.importorskip("qkd._core")
    setup = BBM92_DEVICES["ma-fung-lo"].setup
    arms = (0.145 * eta, 0.145 * eta / 3)
    arguments = (0.06, *arms, setup.background_yield_a, setup.background_yield_b)
    ours = bbm92.pulsed_rate(setup, *arms)

    assert ours.coincidences == pytest.approx(core.pair_gain(*arguments), rel=1e-6)
    assert ours.qber == pytest.approx(core.pair_error(*arguments, setup.misalignment), rel=1e-6)


def tno_detector():
    package = pytest.importorskip("tno.quantum.communication.qkd_key_rate.quantum")
    return package.Detector(
        name="MFL",
        jitter_source=0,
        jitter_detector=0,
        dead_time=0,
        detection_window=0,
        efficiency_system=1,
        efficiency_detector=0.145,
        dark_count_rate=6.02e-6,
        detection_frequency=1,
        polarization_drift=math.asin(math.sqrt(0.015)),  # misalignment for one photon
        error_detector=0.015,  # and for two
    )


@pytest.mark.parametrize("loss_db", [0, 10, 20, 30])
def test_pulsed_pairs_agree_with_tno(loss_db):
    tno = pytest.importorskip("tno.quantum.communication.qkd_key_rate.quantum.bbm92")
    theirs = tno.BBM92AsymptoticKeyRateEstimate(detector=tno_detector())
    setup = replace(
        BBM92_DEVICES["ma-fung-lo"].setup, ec_efficiency=1.0, sifting=1.0, mean_pairs=0.133
    )
    eta = 0.145 * 10 ** (-loss_db / 20)

    ours = bbm92.pulsed_rate(setup, eta, eta).secret_bits
    assert ours == pytest.approx(theirs.compute_rate(0.133, loss_db), rel=0.01)


@pytest.mark.parametrize("loss_db", [0, 10, 20])
def test_infinite_decoys_agree_with_tno(loss_db):
    tno = pytest.importorskip("tno.quantum.communication.qkd_key_rate.quantum.bb84")
    theirs = tno.BB84FullyAsymptoticKeyRateEstimate(detector=tno_detector())
    setup = replace(
        GYS.setup,
        receiver_efficiency=0.145,
        background_yield=2 * 6.02e-6,  # theirs is of one detector
        misalignment=0.015,
        ec_efficiency=1.0,
        sifting=1.0,
    )
    ours = bb84.infinite_decoy_rate(setup, 10 ** (-loss_db / 10)).bits_per_pulse
    vacuum = math.exp(-0.48) * setup.background_yield  # theirs counts empty pulses as secret

    assert ours == pytest.approx(theirs.compute_rate(0.48, loss_db) - vacuum, rel=0.01)
