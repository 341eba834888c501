"""Order of jobs: dependencies, references first, the longest first; what an error takes along."""

from __future__ import annotations

from types import SimpleNamespace

from fednlp.jobs.schedule import Schedule, makespan


def job(number, kind="federated", work=1.0, needs=None, after=None):
    return SimpleNamespace(
        number=number, kind=kind, work_left=work, needs=needs, after=after, name=str(number)
    )


def begun(schedule, most=99):
    """Numbers of the jobs that can begin now."""
    found = []
    while len(found) < most and (one := schedule.next()) is not None:
        found.append(one.number)
    return found


def test_alone_they_go_in_their_own_order():
    jobs = [job(0, "centralized"), job(1, work=1, needs=0), job(2, work=9, needs=0), job(3)]
    schedule, order = Schedule(jobs), []
    while (one := schedule.next()) is not None:
        order.append(one.number)
        schedule.end(one)
    assert order == [0, 1, 2, 3] and schedule.over


def test_side_by_side_references_go_first_and_then_the_longest():
    jobs = [job(0, work=5), job(1, work=9), job(2, "centralized", 1), job(3, "centralized", 2),
            job(4, work=99, needs=2)]  # fmt: skip
    schedule = Schedule(jobs, at_once=2)
    assert begun(schedule) == [3, 2, 1, 0]
    assert not schedule.over
    schedule.end(jobs[2])
    assert begun(schedule) == [4]


def test_a_job_waits_for_its_reference_and_for_the_shorter_run_of_its_trajectory():
    jobs = [job(0, "centralized"), job(1, needs=0), job(2, needs=0, after=1)]
    schedule = Schedule(jobs, at_once=3)
    assert begun(schedule) == [0]
    schedule.end(jobs[0])
    assert begun(schedule) == [1]
    schedule.end(jobs[1], "failed")  # the longer one does without it
    assert begun(schedule) == [2]
    schedule.end(jobs[2])
    assert schedule.over and schedule.errors == {1: "failed"}


def test_an_error_of_a_reference_is_that_of_all_that_wait_for_it():
    jobs = [job(0, "centralized"), job(1, needs=0), job(2, needs=0), job(3)]
    schedule = Schedule(jobs, at_once=2)
    assert begun(schedule, 1) == [0]
    assert [lost.number for lost in schedule.end(jobs[0], "no room")] == [1, 2]
    assert schedule.errors == {0: "no room", 1: "no room", 2: "no room"}
    assert begun(schedule) == [3]


def test_what_is_not_among_the_jobs_is_not_waited_for():
    assert begun(Schedule([job(1, needs=0, after=0)])) == [1]


def test_makespan():
    jobs = [job(0, "centralized", 2.0), job(1, needs=0, work=3.0), job(2, work=4.0)]
    assert makespan(jobs, lambda one: one.work_left, 1) == 9.0
    assert makespan(jobs, lambda one: one.work_left, 2) == 5.0
    assert makespan([], lambda one: one.work_left, 2) == 0.0
