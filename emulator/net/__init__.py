"""Who is who among the processes of a run, and how they reach one another."""
