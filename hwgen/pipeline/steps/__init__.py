"""The steps of a build, one file each, in the order of ``hwgen.pipeline.build.STEPS``."""
