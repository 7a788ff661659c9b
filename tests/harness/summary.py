#!/usr/bin/env python3
"""summary.py EVENTS: counts the test cases of one `bazel test` from its build event file (JSON).

The last line is "N passed, N failed". The exit status is 1 if one failed or none ran."""
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ET

passed = failed = 0
for line in open(sys.argv[1], encoding="utf-8"):
    event = json.loads(line)
    label = next((v.get("label", "") for v in event.get("id", {}).values() if isinstance(v, dict)), "")
    if "testResult" in event:
        result = event["testResult"]
        ok = bad = 0
        for out in result.get("testActionOutput", []):
            if out["name"] != "test.xml":
                continue
            for case in ET.parse(urllib.parse.unquote(out["uri"][len("file://"):])).getroot().iter("testcase"):
                if case.find("failure") is not None or case.find("error") is not None:
                    bad += 1
                    print("failed: %s: %s.%s" % (label, case.get("classname", ""), case.get("name")))
                elif case.get("status") != "notrun" and case.find("skipped") is None:
                    ok += 1
        if result.get("status") != "PASSED" and bad == 0:  # it crashed, or hung
            bad = 1
            print("failed: %s: %s" % (label, result.get("status")))
        passed += ok
        failed += bad
    elif "testSummary" in event and event["testSummary"].get("overallStatus") in ("NO_STATUS", "FAILED_TO_BUILD"):
        failed += 1
        print("failed: %s did not run" % label)
    elif "targetCompleted" in event.get("id", {}) and not event.get("completed", {}).get("success"):
        print("did not build: %s" % label)
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed > 0 or passed == 0)
