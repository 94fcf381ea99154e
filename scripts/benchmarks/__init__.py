"""What things cost: images a second, parts of a step, memory, beside other libraries."""
