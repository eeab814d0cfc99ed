"""Prints what pydlms-client knows of interface classes: id, version, names of attributes and methods; one line each."""

import json

from pydlms.cosem.interface_classes import REGISTRY

for (class_id, version), item in REGISTRY.items():
    names = {"attributes": list(item.attributes), "methods": list(item.methods)}
    print(json.dumps({"id": class_id, "version": version, **names}))
