"""One tar for a network without internet: `python -m deploy.bundle` (= `make bundle`) writes `dist/tongluo-VERSION-bundle.tar`.

In it: our wheel (pages, templates and sample data are inside), the wheels of requirements.lock for every target, configuration,
units, docs, a bill of materials, checksums, and the scripts of deploy/bare-metal that install and upgrade. Building needs the
package index; installing needs none.
"""
