"""Where the seconds of a pod's start go."""
