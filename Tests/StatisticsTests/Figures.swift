import Testing

/// Whether two figures are the same up to an absolute and relative error.
func close(_ figure: Double, _ wanted: Double, _ error: Double = 1e-8) -> Bool {
    abs(figure - wanted) <= error * max(1, abs(wanted))
}

/// Whether two figures are the same up to a relative error alone.
func relativelyClose(_ figure: Double, _ wanted: Double, _ error: Double) -> Bool {
    abs(figure - wanted) <= error * abs(wanted)
}
