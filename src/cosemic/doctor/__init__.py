"""Finds out how a meter is reached, and why a login fails: from nothing but a port and what the user knows.

::

    findings = await examine("tcp://192.0.2.10:4059", Known(client=1, security=security))
    for finding in findings:
        print(finding.severity, finding.text, finding.remedy)

``plan`` and what it uses do no I/O: a generator of steps and findings; ``driver`` carries the steps out.
"""

from __future__ import annotations

from cosemic.doctor.driver import examine
from cosemic.doctor.findings import Code, Finding, Severity
from cosemic.doctor.knowledge import Known, Limits

__all__ = ["Code", "Finding", "Known", "Limits", "Severity", "examine"]
