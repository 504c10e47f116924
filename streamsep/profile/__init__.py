"""Where every millisecond of a stream goes: stages, start, memory, latency against quality. Changes no sound."""
