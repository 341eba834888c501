"""What a run reports, round by round, to TensorBoard, Weights & Biases or MLflow.

The run folder is the truth, a tracker shows it: whatever a tracker holds of a run is made equal to
the committed rounds whenever the run begins or continues.
"""
